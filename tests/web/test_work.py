"""One visitor's video: what it may be, how it is followed and stopped."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.registry import make_tracker
from tracker.video.video import Video
from tracker.web.limits import Limits
from tracker.web.visits import Visits
from tracker.web.work import Stopped, Work


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


def test_videos_beyond_the_limits_are_refused(clip: Path) -> None:
    for limits, words in [
        (Limits(frames=59), "60 frames, and a video may have 59"),
        (Limits(pixels=64 * 48 - 1), "64x48"),
    ]:
        with pytest.raises(UserError, match=words):
            Work(clip, 1, make_tracker("lk"), limits)
    assert Work(clip, 1, make_tracker("lk"), Limits(frames=60, pixels=64 * 48)).num_frames == 60


def test_tracks_wait_for_points_that_have_changed(clip: Path) -> None:
    work = Work(clip, 1, make_tracker("lk"), Limits())
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
