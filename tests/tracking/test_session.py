"""Sessions: frames are described once, however often tracks are asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_models import TINY_HEAD, tiny_tracker, tiny_video

from tracker.errors import UserError
from tracker.memory import BoundedMemory
from tracker.points.queries import Queries
from tracker.tracking.blocks import follow_blocks
from tracker.tracking.config import InferenceConfig
from tracker.tracking.context import FollowedFrames
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


ANCHORS = Queries([[13, 40, 30], [2, 60, 40], [5, 20, 20], [19, 70, 20]], ["a", "a", "", "a"])


def test_a_track_goes_through_all_anchors_in_any_order() -> None:
    tracker, video = tiny_tracker(), tiny_video(20)
    tracks = tracker.track(video, ANCHORS)
    assert tracks.names == ("a", "") and np.isfinite(tracks.xy).all()
    for t, x, y in ANCHORS.txy[[0, 1, 3]].tolist():
        assert tracks.position("a", int(t)) == (x, y) and tracks.visible[0, int(t)]
    assert tracker.track(video, ANCHORS[[1, 3, 0, 2]]) == tracks
    hidden = ANCHORS + Queries([[8, 0, 0]], ["a"], [True])
    assert tracker.track(video, hidden).confidence[0, 8] == 0


def test_corrections_describe_nothing_again_and_leave_the_rest_alone(
    counted: tuple[PointTracker, list[int]],
) -> None:
    tracker, described = counted
    session = tracker.open(tiny_video(20))
    before = session.track(ANCHORS)
    described.clear()
    after = session.correct("a", 9, 50, 20)
    assert not described
    rest = np.r_[0:2, 3:3, 2:3, 13:20]  # beyond the places beside it, and at these
    for name in ("xy", "visible", "confidence"):
        was, now = getattr(before, name), getattr(after, name)
        np.testing.assert_array_equal(now[0, rest], was[0, rest])
        np.testing.assert_array_equal(now[1], was[1])
    assert after.position("a", 9) == (50, 20) and not np.array_equal(after.xy, before.xy)
    hidden = session.hide("a", range(15, 18))
    np.testing.assert_array_equal(hidden.xy, after.xy)
    assert not hidden.visible[0, 15:18].any()
    assert session.undo() == after and session.undo() == before
    with pytest.raises(UserError, match="no correction to undo"):
        session.undo()


def test_there_is_nothing_to_correct_before_something_was_tracked() -> None:
    session = tiny_tracker().open(tiny_video(8))
    for act in (session.undo, lambda: session.correct(0, 1, 2, 3), lambda: session.hide(0, 1)):
        with pytest.raises(UserError, match="call track first"):
            act()


@pytest.mark.parametrize("context", [4, 16])
def test_within_reach_tracks_are_the_same_to_the_bit(context: int) -> None:
    tracker, video = tiny_tracker(context=context), tiny_video(28)
    rows = torch.tensor([[3.0, 10, 10], [17.0, 30, 30], [20.0, 40, 20]])
    reach = torch.tensor([[0, 9], [16, 20], [9, 27]])
    asked: list[int] = []

    def features_of(start: int, stop: int, _: object):
        asked.append(start)
        return tracker.describe(video.read(start, stop))

    def follow(queries: torch.Tensor, reach: torch.Tensor | None) -> FollowedFrames:
        config = InferenceConfig(block=8, context=context)
        memory, steps = BoundedMemory(0), []
        head, told = tracker.head, lambda *done: steps.append(done)
        with torch.inference_mode():
            found = follow_blocks(head, queries, 28, features_of, config, memory, told, reach)
        assert steps[-1][0] == steps[-1][1]
        return found

    # One point at a time, for sums of several together are made in another order.
    for row, (first, last) in zip(rows[:, None], reach.tolist(), strict=True):
        whole, part = follow(row, None), follow(row, torch.tensor([[first, last]]))
        wanted = slice(first, last + 1)
        assert torch.equal(part.xy[:, wanted], whole.xy[:, wanted])
        assert torch.equal(part.visibility_logits[:, wanted], whole.visibility_logits[:, wanted])
    asked.clear()
    together = follow(rows, reach)
    assert torch.isfinite(together.xy).all()
    asked.clear()
    follow(rows[1:2], reach[1:2])
    assert set(asked) <= {0, 8, 16} and asked.count(16) == 1
