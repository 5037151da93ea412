"""What is taken home is what the page shows."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from tracker.errors import UserError
from tracker.formats.registry import FORMATS
from tracker.points.tracks import Tracks
from tracker.video.loading import load_video
from tracker.web.downloads import KINDS, write_download
from tracker.web.drawing import View
from tracker.web.visits import Visit, Visits


@pytest.fixture
def visit(lk_visits: Visits, clip: Path) -> Visit:
    visit = lk_visits.begin("one")
    frames = load_video(clip, stop=6).read()
    np.save(visit.folder / "six.npy", frames)
    visit.open(visit.folder / "six.npy")
    visit.work.board.add(0, 20.5, 20.5)
    visit.work.board.add(2, 40.5, 30.5)
    visit.work.track(lambda done, total: None)
    return visit


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_and_only_the_last_is_kept(visit: Visit, kind: str) -> None:
    moved: list[tuple[int, int]] = []
    for _ in range(2):
        path = write_download(visit, kind, View(), lambda *steps: moved.append(steps))
    assert path.name.startswith("six-tracks.") and path.stat().st_size > 0
    assert len(list(visit.folder.glob("download-*"))) == 1
    assert moved == ([(done, 6) for done in range(1, 7)] * 2 if kind == "mp4" else [])
    if kind == "mp4":
        assert len(load_video(path)) == 6
    if kind in ("csv", "npz"):
        assert Tracks.load(path) == visit.work.tracks().shown_from(0.25)


def test_every_format_can_be_downloaded() -> None:
    names = {kind.split(" ")[0] for kind in KINDS}
    assert names == {"mp4", "png", "npz", *FORMATS} and len(KINDS) > len(names)


def test_folders_come_as_archives(visit: Visit) -> None:
    path = write_download(visit, "vot", View(), lambda done, total: None)
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 2 and path.suffix == ".zip"


def test_certainty_says_what_is_visible(visit: Visit) -> None:
    path = write_download(visit, "npz", View(certainty=0.99), lambda done, total: None)
    tracks = Tracks.load(path)
    np.testing.assert_array_equal(tracks.visible, tracks.confidence > 0.99)


def test_nothing_is_written_before_points_are_followed(visit: Visit) -> None:
    visit.work.board.add(0, 1, 1)
    with pytest.raises(UserError, match="press Track"):
        write_download(visit, "csv", View(), lambda done, total: None)
    assert not list(visit.folder.rglob("*.csv"))
