"""The cache of the teacher's maps: made once, made again where damaged, bounded."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tracker.errors import UserError
from tracker.pretraining.distill.sources import Source, find_sources
from tracker.pretraining.distill.teacher_maps import TeacherMaps, prepare_maps
from tracker.pretraining.distill.views import ViewConfig, draw_view

VIEWS = ViewConfig(
    photograph_views=2, video_views=1, video_frames=4, smallest=32, largest=64, zoom=(1.0, 2.0)
)
ALL = (slice(None), slice(None))


class MeanColour:
    """A teacher whose cells are the mean colours of 16x16 pixels, and their number of calls."""

    name, channels, stride, lag = "mean-colour", 3, 16, 0.0

    def __init__(self, version: str = "1") -> None:
        self.calls, self._version = 0, version

    def __call__(self, pictures: Tensor) -> Tensor:
        self.calls += 1
        return torch.nn.functional.avg_pool2d(pictures, 16)

    def fingerprint(self) -> str:
        return self._version


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(2):
        pixels = rng.integers(0, 255, (12, 15, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def prepare(
    folder: Path, photographs: Path, teacher: MeanColour, limit: float = 1.0
) -> TeacherMaps:
    sources, _ = find_sources(photographs, [])
    return prepare_maps(folder, sources, teacher, VIEWS, limit, progress=False)


def test_maps_belong_to_their_pictures(photographs: Path, tmp_path: Path) -> None:
    maps = prepare(tmp_path / "maps", photographs, MeanColour())
    assert len(maps.views) == 4 and maps.made == 2
    for view in maps.views:
        pictures, cells = view.read(0, 1, ALL)
        assert pictures.shape == (1, 3, *view.size) and cells.shape == (1, 3, *view.cells)
        # The teacher saw it 1.5 times larger: small differences are the resizing's.
        coarse = torch.nn.functional.adaptive_avg_pool2d(pictures.float() / 255, view.cells)
        assert (coarse - cells).abs().mean() < 0.05
    described = torch.cat([v.read(0, 1, ALL)[1].flatten(2) for v in maps.views], -1)[0]
    torch.testing.assert_close(maps.mean, described.mean(-1), atol=1e-3, rtol=0)
    torch.testing.assert_close(maps.std, described.std(-1), atol=2e-3, rtol=0)


def test_found_again_unless_something_changed(photographs: Path, tmp_path: Path) -> None:
    folder, teacher = tmp_path / "maps", MeanColour()
    first = prepare(folder, photographs, teacher)
    calls = teacher.calls
    again = prepare(folder, photographs, teacher)
    assert (teacher.calls, again.made) == (calls, 0)
    assert torch.equal(again.mean, first.mean)
    assert prepare(folder, photographs, MeanColour("2")).made == 2
    shutil.copy(photographs / "0.png", photographs / "1.png")  # another picture of that name
    assert prepare(folder, photographs, teacher).made == 0  # which is known by its content


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_damaged_files_are_made_again(photographs: Path, tmp_path: Path, damage: str) -> None:
    folder, teacher = tmp_path / "maps", MeanColour()
    whole = prepare(folder, photographs, teacher)
    file = whole.views[0].file
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[-100] ^= 255
    file.write_bytes({"cut": content[:-10], "flipped": content, "empty": b""}[damage])
    again = prepare(folder, photographs, teacher)
    assert again.made == 1
    for view, other in zip(whole.views, again.views, strict=True):
        assert torch.equal(view.read(0, 1, ALL)[1], other.read(0, 1, ALL)[1])


def test_limit_leaves_fewer_views(photographs: Path, tmp_path: Path) -> None:
    prepare(tmp_path / "all", photographs, MeanColour())
    taken = sum(f.stat().st_size for f in (tmp_path / "all").iterdir())
    fewer = prepare(tmp_path / "few", photographs, MeanColour(), limit=0.75 * taken / 1e9)
    assert len(fewer.views) == 2
    with pytest.raises(UserError, match=r"more than cache_gb=1e-06; raise it"):
        prepare(tmp_path / "none", photographs, MeanColour(), limit=1e-6)


def test_full_disk(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save_file", refuse)
        with pytest.raises(UserError, match="No space left on device"):
            prepare(tmp_path / "maps", photographs, MeanColour())
    assert not list((tmp_path / "maps").iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"lower teacher\.cache_gb"):
        prepare(tmp_path / "maps", photographs, MeanColour())


def test_unreadable_files_are_skipped_and_listed(
    photographs: Path, video_folder: Path, tmp_path: Path
) -> None:
    (photographs / "cut.jpg").write_bytes(b"\xff\xd8 no picture")
    sources, skipped = find_sources(photographs, [video_folder])
    assert [s.kind for s in sources] == ["photograph"] * 2 + ["video"] * 2
    assert {Path(p).name for p in skipped} == {"cut.jpg", "broken.mp4"}
    gone = Source(tmp_path / "gone.png", "photograph", 1, (64, 64), "0" * 20)
    maps = prepare_maps(tmp_path / "m", [*sources, gone], MeanColour(), VIEWS, 1.0, False)
    assert list(maps.skipped) == [str(gone.path)]
    videos = [view for view in maps.views if view.kind == "video"]
    assert [view.frames for view in videos] == [4, 4]
    with pytest.raises(UserError, match="none of 1 photographs and videos"):
        prepare_maps(tmp_path / "m", [gone], MeanColour(), VIEWS, 1.0, False)


def test_nothing_to_distil_on(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere does not exist"):
        find_sources(tmp_path / "nowhere", [])
    with pytest.raises(UserError, match=r"photographs=FOLDER"):
        find_sources(tmp_path, [])


def test_views() -> None:
    """Scales and shapes lie within their bounds where the source is large enough."""
    config = ViewConfig(smallest=32)
    for number in range(50):
        view = draw_view(config, (400, 600), 100, number)
        zooms = 400 / view.size[0], 600 / view.size[1]
        assert 0.95 < (zooms[0] * zooms[1]) ** 0.5 < 2.25
        assert 0.75 < zooms[1] / zooms[0] < 1.85
        assert (view.frames, view.first + view.frames <= 100) == (32, True)
    assert draw_view(config, (400, 600), 1, 3) == draw_view(config, (400, 600), 1, 3)
    small = draw_view(ViewConfig(smallest=128), (64, 48), 1, 0)
    assert min(small.size) == 128
    ramp = torch.linspace(0, 1, 600).expand(1, 3, 400, 600)
    for number in range(4):
        view = draw_view(config, (400, 600), 1, number)
        picture = view.pictures(ramp)[0, 0, 0]
        assert bool(picture[0] > picture[-1]) == view.mirrored
