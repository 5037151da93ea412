"""Visitors come, do not mix, and leave nothing."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.video.video import Video
from tracker.web.limits import Limits
from tracker.web.visits import Visits
from tracker.web.work import Stopped, Work


def test_each_visitor_has_their_own(lk_visits: Visits, tmp_path: Path) -> None:
    one, other = lk_visits.begin("one"), lk_visits.begin("other")
    assert lk_visits.find(one.token) is one and lk_visits.of("other") is other
    assert one.folder != other.folder and one.token != other.token
    (one.folder / "clip.mp4").write_bytes(b"video")
    lk_visits.end("one")
    lk_visits.end("one")
    assert not one.folder.exists() and other.folder.exists()
    assert lk_visits.find(one.token) is None and lk_visits.find("") is None
    with pytest.raises(UserError, match="reload"):
        lk_visits.of("one")
    again = lk_visits.begin("other")  # the page was reloaded
    assert again is not other and not other.folder.exists()


def test_there_is_room_for_so_many(lk_visits: Visits) -> None:
    for number in range(4):
        lk_visits.begin(str(number))
    with pytest.raises(UserError, match="4 visitors"):
        lk_visits.begin("one more")
    lk_visits.end("0")
    lk_visits.begin("one more")


def test_all_find_the_first_video_open(lk_visits: Visits, clip: Path, tmp_path: Path) -> None:
    visits = Visits(tmp_path / "v", lk_visits._tracker, Limits(), clip)
    one, other = visits.begin("one"), visits.begin("other")
    one.work.board.add(0, 1, 1)
    assert one.work.name == other.work.name == clip.name and not other.work.board.points
    visits.end("one")
    assert clip.exists()


class Endless:
    """Follows points for as long as it is let."""

    def __init__(self) -> None:
        self.has_begun = Event()

    def track(
        self, video: Video, queries: Queries, progress: Progress | bool | None = None
    ) -> Tracks:
        assert callable(progress)
        while True:
            progress(1, 2)
            self.has_begun.set()


@pytest.mark.parametrize("leaves", [False, True])
def test_a_run_ends_when_it_is_stopped_or_the_visitor_leaves(
    clip: Path, tmp_path: Path, leaves: bool
) -> None:
    tracker, ends = Endless(), []
    visits = Visits(tmp_path / "v", tracker, Limits(), clip)
    work = visits.begin("one").work
    work.board.add(0, 5, 5)

    def run() -> None:
        with pytest.raises(Stopped):
            work.track(lambda done, total: None)
        ends.append(True)

    thread = Thread(target=run)
    thread.start()
    assert tracker.has_begun.wait(60)
    with pytest.raises(UserError, match="wait, or press Stop"):
        work.track(lambda done, total: None)
    if leaves:
        visits.end("one")
    else:
        work.stop()
    thread.join(60)
    assert ends and work.scene()["rows"] == []


def test_videos_beyond_the_limits_are_refused(clip: Path, lk_visits: Visits) -> None:
    for limits, words in [
        (Limits(frames=59), "60 frames, and a video may have 59"),
        (Limits(pixels=64 * 48 - 1), "64x48"),
    ]:
        with pytest.raises(UserError, match=words):
            Work(clip, 1, lk_visits._tracker, limits)
    assert Work(clip, 1, lk_visits._tracker, Limits(frames=60, pixels=64 * 48)).num_frames == 60


def test_tracks_wait_for_points_that_have_changed(clip: Path, lk_visits: Visits) -> None:
    work = Work(clip, 1, lk_visits._tracker, Limits())
    with pytest.raises(UserError, match="no points"):
        work.tracks()
    with pytest.raises(UserError, match="no points"):
        work.track(lambda done, total: None)
    work.board.add(3, 20.5, 20.5)
    with pytest.raises(UserError, match="1 of 1 points"):
        work.tracks()
    assert work.track(lambda done, total: None) == 1
    work.board.add(0, 30.5, 20.5)
    with pytest.raises(UserError, match="1 of 2 points"):
        work.tracks()
    assert work.track(lambda done, total: None) == 1
    work.board.rename(2, "second")
    tracks = work.tracks()
    assert tracks.names == ("point 1", "second") and tracks.xy.shape == (2, 60, 2)
    np.testing.assert_array_equal(tracks.queries, [[3, 20.5, 20.5], [0, 30.5, 20.5]])
