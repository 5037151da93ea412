"""The command that fits templates, end to end, and the clips that it reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import save_tiny_backbone

from data_prep.fit_template import main
from tracker.backbone import BackboneConfig, FrozenBackbone
from tracker.data.clips import ProceduralClips, VideoClips, _back_and_forth
from tracker.errors import UserError
from tracker.template import PositionalTemplate
from tracker.video import load_video, write_video


def options(folder: Path, clips: int, *extra: str) -> list[str]:
    backbone = folder / "backbone"
    if not backbone.exists():
        save_tiny_backbone(backbone)
    tiny = ["--backbone", str(backbone), "--layers", "1", "2", "--size", "64", "64"]
    out = ["--out", str(folder / "t.safetensors"), "--clips", str(clips), "--window", "8"]
    return [*tiny, *out, *extra]


@pytest.fixture
def videos(tmp_path: Path, make_frames: Callable[..., np.ndarray]) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(2):
        write_video(folder / f"{number}.mp4", make_frames(12, (96, 80), number), fps=10)
    (folder / "broken.mp4").write_bytes(b"not a video")
    return folder


def test_fits_on_rendered_scenes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(options(tmp_path, 3))
    template = PositionalTemplate.load(tmp_path / "t.safetensors")
    config = BackboneConfig(str(tmp_path / "backbone"), (1, 2), (64, 64), 8)
    template.check(FrozenBackbone(config))
    assert template.report.clips == 3
    assert (tmp_path / "t.png").stat().st_size > 5_000
    assert not (tmp_path / "t.progress.safetensors").exists()
    assert "split-half cosine" in capsys.readouterr().out


def test_fits_on_videos_and_lists_the_broken(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(options(tmp_path, 4, "--videos", str(videos)))
    assert "skipped" in capsys.readouterr().out
    assert (tmp_path / "t.safetensors").exists()


def damage(path: Path) -> None:
    """Overwrite frames in the middle of a video, which can still be opened."""
    data = bytearray(path.read_bytes())
    start = data.find(b"mdat")
    rest = len(data) - start
    data[start + rest // 2 : start + rest * 6 // 10] = b"\xff" * (rest // 10)
    path.write_bytes(data)
    with pytest.raises(UserError, match="could only be decoded"):
        load_video(path).read()


def test_a_video_that_breaks_off_is_replaced_by_others(
    tmp_path: Path,
    videos: Path,
    make_frames: Callable[..., np.ndarray],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_video(videos / "damaged.mp4", make_frames(40, (96, 80)), fps=10)
    damage(videos / "damaged.mp4")
    main(options(tmp_path, 6, "--videos", str(videos)))
    printed = capsys.readouterr().out
    assert "clips that could not be read" in printed and "damaged.mp4 could only" in printed
    assert PositionalTemplate.load(tmp_path / "t.safetensors").report.clips == 6


def test_nothing_but_damaged_videos(
    tmp_path: Path, make_frames: Callable[..., np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "damaged.mp4", make_frames(40, (96, 80)), fps=10)
    damage(tmp_path / "damaged.mp4")
    with pytest.raises(SystemExit) as stop:
        main(options(tmp_path, 2, "--videos", str(tmp_path)))
    assert stop.value.code == 2
    assert "8 clips in a row could not be read" in capsys.readouterr().err


def test_goes_on_from_saved_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_prep import fit_template

    main(options(tmp_path, 4))
    whole = PositionalTemplate.load(tmp_path / "t.safetensors")
    monkeypatch.setattr(fit_template, "SAVE_EVERY", 2)
    monkeypatch.setattr(fit_template, "plot_convergence", interrupt)
    with pytest.raises(SystemExit):
        main(options(tmp_path, 2))
    assert (tmp_path / "t.progress.safetensors").exists()
    monkeypatch.undo()
    main(options(tmp_path, 4))
    again = PositionalTemplate.load(tmp_path / "t.safetensors")
    assert torch.equal(again.mean, whole.mean)


def test_progress_of_other_work_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from data_prep import fit_template

    monkeypatch.setattr(fit_template, "SAVE_EVERY", 2)
    monkeypatch.setattr(fit_template, "plot_convergence", interrupt)
    with pytest.raises(SystemExit):
        main(options(tmp_path, 2))
    for extra in (["--seed", "1"], ["--frame-mode", "offset"]):
        with pytest.raises(SystemExit) as stop:
            main(options(tmp_path, 4, *extra))
        assert stop.value.code == 2
        assert "progress of another" in capsys.readouterr().err
    (tmp_path / "t.progress.safetensors").write_bytes(b"garbage")
    with pytest.raises(SystemExit):
        main(options(tmp_path, 4))
    assert "is damaged" in capsys.readouterr().err


def interrupt(*args: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--videos", "nowhere"], "folder nowhere does not exist"),
        (["--tapvid", "nowhere.pkl"], "does not exist"),
        (["--frame-mode", "twice"], "tubelet, offset or duplicate"),
        (["--out", "t.bin"], "must end in .safetensors"),
        (["--device", "abacus"], "device abacus cannot be used"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = options(tmp_path, 2, "--out", str(tmp_path / "out" / "t.safetensors"), *extra)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["backbone"]


def test_clips_of_videos_are_numbered_and_sized(videos: Path) -> None:
    source = VideoClips.from_folder(videos, 16, (32, 48))
    assert list(source.skipped) == [str(videos / "broken.mp4")]
    clip = source.clip(3)
    assert clip.shape == (16, 3, 32, 48)
    assert torch.equal(clip, source.clip(3))
    assert not torch.equal(clip, source.clip(4))
    assert 0 <= clip.min() <= clip.max() <= 1


def test_short_videos_are_played_back_and_forth() -> None:
    assert _back_and_forth(3, 8).tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert _back_and_forth(1, 3).tolist() == [0, 0, 0]


def test_procedural_clips() -> None:
    clip = ProceduralClips(4, (32, 48)).clip(0)
    assert clip.shape == (4, 3, 32, 48)


def test_folder_without_videos(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no readable video"):
        VideoClips.from_folder(tmp_path, 8, (32, 32))
