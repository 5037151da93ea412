"""Clips out of files are those that rendering gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tracker.bulk.engine import Engine
from tracker.bulk.scenes import ClipsConfig, Rendering
from tracker.cli.main import main
from tracker.datasets.shards import ShardedTracks
from tracker.errors import UserError
from tracker.settings import compose, instantiate
from tracker.training.batches import FlowConfig, ProceduralTracks, TrackedBatches

SCENES = {"frames": 3, "size": [32, 48], "points": 6}
DATA = {"_target_": "tracker.training.batches.ProceduralTracks", **SCENES}


def render(folder: Path, **clips: object) -> list[int]:
    rendering = Rendering.open(str(folder), DATA, ClipsConfig(**clips))
    return list(rendering.render(Engine(), 1))


def test_batches_are_those_of_rendering(tmp_path: Path) -> None:
    assert render(tmp_path, first=10, count=5, a_shard=2) == [2, 2, 1]
    rendered = TrackedBatches(ProceduralTracks(**SCENES), FlowConfig())
    config = compose("train_tracker", ["data=shards", f"data.root={tmp_path}"], None)
    read = TrackedBatches(instantiate(config.data), FlowConfig())
    for numbers in ([10, 11], [13, 14], [12]):
        expected, found = rendered.batch(numbers), read.batch(numbers)
        for name in ("video", "xy", "visible", "query_frame"):
            assert torch.equal(getattr(found, name), getattr(expected, name)), name
        assert torch.equal(found.flow.xy, expected.flow.xy)


def test_bytes_are_rounded_pixels(tmp_path: Path) -> None:
    render(tmp_path, count=1, pixels="uint8")
    video, xy, _ = ShardedTracks(str(tmp_path)).clips([0])
    expected, true_xy, _ = ProceduralTracks(**SCENES).clips([0])
    assert (video - expected).abs().max() <= 0.5 / 255 + 1e-6 and torch.equal(xy, true_xy)


def test_what_is_missing_is_made(tmp_path: Path) -> None:
    render(tmp_path, count=5, a_shard=2)
    assert render(tmp_path, count=5, a_shard=2) == []
    (tmp_path / "clips-000001.npz").unlink()
    assert render(tmp_path, count=5, a_shard=2) == [2]
    # The last file held one clip and must hold two, and there is one more.
    assert render(tmp_path, count=7, a_shard=2) == [2, 1]
    expected = ProceduralTracks(**SCENES).clips([5])[0]
    assert torch.equal(ShardedTracks(str(tmp_path)).clips([5])[0], expected)


def test_clips_beyond_the_last(tmp_path: Path) -> None:
    render(tmp_path, first=4, count=2)
    with pytest.raises(UserError, match=r"clip 6 is not in .*, which holds 4 to 5"):
        ShardedTracks(str(tmp_path)).clips([6])
    again = ShardedTracks(str(tmp_path), repeat=True).clips([6, 7])[0]
    assert torch.equal(again, ShardedTracks(str(tmp_path)).clips([4, 5])[0])


def test_other_clips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"clips\.json is missing"):
        ShardedTracks(str(tmp_path))
    render(tmp_path, count=2)
    for wanted in ({"frames": 4}, {"size": (32, 32)}, {"points": 7}):
        with pytest.raises(UserError, match=f"have {next(iter(wanted))}"):
            ShardedTracks(str(tmp_path), **wanted)
    with pytest.raises(UserError, match="holds other clips"):
        render(tmp_path, count=2, pixels="uint8")
    with pytest.raises(UserError, match="holds 2 clips already"):
        render(tmp_path, count=1)
    (tmp_path / "clips-000000.npz").write_bytes(b"half a file")
    with pytest.raises(UserError, match="clip 1 cannot be read"):
        ShardedTracks(str(tmp_path)).clips([1])
    (tmp_path / "clips.json").write_text("{}")
    with pytest.raises(UserError, match="is damaged"):
        ShardedTracks(str(tmp_path))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenes = [f"data.{name}={value}" for name, value in SCENES.items()]
    main(["render", f"out={tmp_path}/clips", "clips.count=3", "clips.a_shard=2", *scenes])
    assert "3 clips, 0 there already" in capsys.readouterr().out
    names = sorted(path.name for path in (tmp_path / "clips").iterdir())
    assert names == ["clips-000000.npz", "clips-000001.npz", "clips.json"]
    for wrong in ("clips.count=0", "clips.pixels=half", "engine.workers=0", "clips.first=-1"):
        with pytest.raises(SystemExit, match="2"):
            main(["render", f"out={tmp_path}/other", wrong, *scenes])
        assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
