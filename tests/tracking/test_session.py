"""Sessions: frames are described once, however often tracks are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_models import TINY_HEAD, tiny_tracker, tiny_video

from tracker.points.queries import Queries
from tracker.tracking.tracker import PointTracker

SIZE = (96, 64)
EARLY, LATE = Queries([[0, 20, 20], [5, 50, 30]]), Queries([[13, 40, 30], [19, 60, 40]])


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> tuple[PointTracker, list[int]]:
    """A tracker, and how many frames it was asked to describe."""
    tracker, described = tiny_tracker(), []
    describe = tracker.describe

    def counting(frames: np.ndarray, before: np.ndarray | None = None, *rest: object) -> object:
        described.append(len(frames))
        return describe(frames, before, *rest)

    monkeypatch.setattr(tracker, "describe", counting)
    return tracker, described


def test_frames_are_described_once(counted: tuple[PointTracker, list[int]]) -> None:
    tracker, described = counted
    session = tracker.open(tiny_video(20))
    session.track(LATE)
    assert described == [8, 8, 4]  # though the late points are followed both ways
    session.track(EARLY)
    assert described == [8, 8, 4]


def test_tracks_are_those_of_a_first_call_whatever_is_remembered(
    counted: tuple[PointTracker, list[int]],
) -> None:
    tracker, described = counted
    video = tiny_video(20)
    expected = tracker.track(video, LATE)
    for memory in (0, 2**30):
        session = tracker.open(video, memory)
        session.track(EARLY)
        described.clear()
        assert session.track(LATE) == expected
        assert bool(described) == (memory == 0)


@pytest.mark.parametrize("context", [4, 8])
def test_a_track_does_not_depend_on_other_points(context: int) -> None:
    tracker, video = tiny_tracker(context=context), tiny_video(30)
    # Sums in another order differ by rounding, which an untrained head blows up.
    tracker.head.refine.update.weight.data *= 0.05
    alone = tracker.track(video, Queries([[20, 40, 30]]))
    among = tracker.track(video, Queries([[0, 10, 10], [20, 40, 30], [29, 5, 5]]))
    np.testing.assert_allclose(alone.xy[0], among.xy[1], atol=0.05)
    assert TINY_HEAD.iterations > 0 and np.ptp(alone.xy[0, :16], axis=0).max() > 0


def test_tracks_know_which_frames_of_the_video_they_are_of() -> None:
    tracks = tiny_tracker().track(tiny_video(20)[5:17:3], Queries([[1, 20, 20]]))
    assert (tracks.start, tracks.stride, tracks.num_frames) == (5, 3, 4)
