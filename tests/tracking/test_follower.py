"""Blocks, context, both directions of time, chunks of points."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import TINY_HEAD, tiny_tracker, tiny_video

from tracker.errors import UserError
from tracker.memory import BoundedMemory
from tracker.points.queries import Queries
from tracker.tracking.blocks import follow_blocks
from tracker.tracking.config import InferenceConfig
from tracker.tracking.follower import Follower

COARSE_HEAD = replace(TINY_HEAD, iterations=0)


def test_point_chunks_do_not_change_results() -> None:
    video, queries = tiny_video(20), Queries.grid(4, (96, 64), t=9)
    whole = tiny_tracker(point_chunk=16).track(video, queries)
    parts = tiny_tracker(point_chunk=3).track(video, queries)
    np.testing.assert_allclose(whole.xy, parts.xy, atol=1e-2)
    np.testing.assert_allclose(whole.confidence, parts.confidence, atol=1e-3)


@pytest.mark.slow
def test_ten_thousand_queries_go_through_in_chunks() -> None:
    tracks = tiny_tracker().track(tiny_video(3), Queries.grid(100, (96, 64)))
    assert tracks.xy.shape == (10_000, 3, 2)
    assert np.isfinite(tracks.xy).all()


@pytest.mark.slow
@pytest.mark.parametrize("context", [0, 4, 100])
@pytest.mark.parametrize("frames", [1, 2, 7, 8, 9, 24])
def test_any_length_and_context(frames: int, context: int) -> None:
    queries = Queries([[frames - 1, 30, 20], [0, 50, 40], [frames // 2, 5, 60]])
    tracks = tiny_tracker(context=context).track(tiny_video(frames), queries)
    assert tracks.xy.shape == (3, frames, 2)
    for point, (t, x, y) in enumerate(queries.txy):
        np.testing.assert_allclose(tracks.xy[point, int(t)], (x, y), atol=1e-3)


@pytest.mark.slow
def test_a_query_is_followed_both_ways_and_unaffected_by_other_queries() -> None:
    video = tiny_video(30)
    alone = tiny_tracker().track(video, Queries([[20, 40, 30]]))
    among = tiny_tracker().track(video, Queries([[0, 10, 10], [20, 40, 30], [29, 5, 5]]))
    # Sums in another order differ by rounding, which untrained iterations blow up.
    np.testing.assert_allclose(alone.xy[0], among.xy[1], atol=0.3)
    assert np.ptp(alone.xy[0, :16], axis=0).max() > 0


def test_blocks_are_described_once_each_way() -> None:
    tracker = tiny_tracker()
    asked: list[tuple[int, int]] = []

    def features_of(start: int, stop: int, _: object):
        asked.append((start, stop))
        return tracker.describe(tiny_video(30).read(start, stop))

    queries = torch.tensor([[3.0, 10, 10], [20.0, 30, 30]])
    config = InferenceConfig(block=8, context=4)
    seen: list[tuple[int, int]] = []
    with torch.inference_mode():
        follow_blocks(
            tracker.head,
            queries,
            30,
            features_of,
            config,
            BoundedMemory(0),
            lambda *done: seen.append(done),
        )
    assert asked == [(0, 8), (8, 16), (16, 24), (24, 30), (8, 16), (0, 8)]
    assert {(done, 46) for done in (8, 16, 24, 30, 38, 46)} <= set(seen)
    assert seen == sorted(set(seen))


def test_progress_moves_within_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when it ends alone: one block may take a minute."""
    seen: list[tuple[int, int]] = []
    tracker = tiny_tracker(point_chunk=4, block=64)
    moved_while: dict[str, int] = {}

    def watch(owner: object, name: str, work: str) -> None:
        inner = getattr(owner, name)

        def watched(*args: object, **kwargs: object) -> object:
            before = len(seen)
            result = inner(*args, **kwargs)
            moved_while[work] = moved_while.get(work, 0) + len(seen) - before
            return result

        monkeypatch.setattr(owner, name, watched)

    watch(tracker, "describe", "describing")
    watch(Follower, "_propose", "flow")
    watch(Follower, "_follow", "points")
    tracker.track(tiny_video(64), Queries.grid(4, (96, 64)), lambda *done: seen.append(done))
    assert seen == sorted(set(seen)) and seen[-1] == (64, 64)
    assert moved_while["describing"] >= 4 and moved_while["points"] >= 4
    if tracker.head.config.reads_flow:
        assert moved_while["flow"] >= 10


@pytest.mark.slow
@pytest.mark.parametrize("frame", [13, 20])
def test_backwards_only_points_asked_for_later_are_followed(
    frame: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = tiny_tracker(point_chunk=64)
    follow, counts = tracker.head.follow, []

    def counting(features, queries, *rest):
        counts.append(queries.xy.shape[1])
        return follow(features, queries, *rest)

    monkeypatch.setattr(tracker.head, "follow", counting)
    early = [[0, 10 + 3 * n, 10] for n in range(5)]
    tracker.track(tiny_video(24), Queries([*early, [frame, 40, 30]]))
    assert counts == ([5, 6, 6, 1] if frame == 13 else [5, 5, 6, 1, 1])


def test_a_query_is_seen_in_its_own_frame() -> None:
    queries = Queries([[0, 10, 10], [7, 40, 30], [8, 40, 30], [15, 20, 20]])
    tracks = tiny_tracker().track(tiny_video(16), queries)
    assert (tracks.confidence[range(4), [0, 7, 8, 15]] > 0.99).all()


def test_context_of_a_follower_stays_small() -> None:
    tracker = tiny_tracker(context=4)
    follower = Follower(
        tracker.head, torch.tensor([[0.0, 10, 10]]), tracker.config.inference, BoundedMemory(0)
    )
    frames = tiny_video(8).read()
    with torch.inference_mode():
        for block in range(5):
            follower.push(tracker.describe(frames), 8 * block)
    assert follower.near.num_frames == 4
    assert follower.known.xy.shape == (1, 4, 2)


class TestOutOfMemory:
    def test_retries_with_smaller_chunks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tracker = tiny_tracker(point_chunk=64)
        video, queries = tiny_video(4), Queries.grid(8, (96, 64))
        expected = tracker.track(video, queries)
        follow, sizes = tracker.head.follow, []

        def short_of_memory(features, queries, *rest):
            sizes.append(queries.xy.shape[1])
            if queries.xy.shape[1] > 16:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return follow(features, queries, *rest)

        monkeypatch.setattr(tracker.head, "follow", short_of_memory)
        tracks = tracker.track(video, queries)
        assert sizes[:2] == [64, 32]
        assert set(sizes[2:]) == {16}
        np.testing.assert_allclose(tracks.xy, expected.xy, atol=1e-2)

    def test_nothing_holds_on_to_a_failed_attempt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tracker = tiny_tracker(point_chunk=64)
        follow, attempts = tracker.head.follow, []

        def short_of_memory(features, queries, *rest):
            assert not [attempt for attempt in attempts if attempt() is not None]
            if queries.xy.shape[1] > 16:
                allocated = torch.zeros(1)
                attempts.append(weakref.ref(allocated))
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return follow(features, queries, *rest)

        monkeypatch.setattr(tracker.head, "follow", short_of_memory)
        tracker.track(tiny_video(4), Queries.grid(8, (96, 64)))
        assert len(attempts) == 2

    def test_says_what_to_lower(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tracker = tiny_tracker()

        def no_memory(*args: object) -> None:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(tracker.head, "follow", no_memory)
        with pytest.raises(UserError, match=r"out of memory.*lower inference\.block or fine_size"):
            tracker.track(tiny_video(4), Queries.grid(8, (96, 64)))


class TestFlow:
    """Flow that starts refinement."""

    def test_none_where_nothing_refines(self) -> None:
        for tracker in (tiny_tracker(iterations=0), tiny_tracker(head=COARSE_HEAD)):
            assert tracker.describe(tiny_video(4).read()).gray is None

    def test_it_matters_and_does_without(self) -> None:
        tracker = tiny_tracker()
        features = tracker.describe(tiny_video(6).read())
        queries = torch.tensor([[0, 10.0, 10.0], [3, 40.0, 20.0], [5, 30.0, 50.0]])
        with_flow, without = (
            Follower(tracker.head, queries, InferenceConfig(), BoundedMemory(0)).push(seen, 0).xy
            for seen in (features, replace(features, gray=None))
        )
        assert torch.isfinite(without).all()
        assert not torch.allclose(with_flow, without)

    @pytest.mark.parametrize("backward", [False, True])
    def test_flow_goes_on_from_the_block_before(
        self, backward: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tracker.tracking.follower.SURE_ENOUGH", 0.0)
        tracker, video = tiny_tracker(), tiny_video(12)
        blocks = [(tracker.describe(video.read(t, t + 6)), t) for t in (0, 6)]
        if backward:
            blocks.reverse()
        queries = torch.tensor([[7.0 if backward else 4.0, 30.0, 30.0]])
        follower = Follower(
            tracker.head, queries, InferenceConfig(context=3), BoundedMemory(0), backward
        )
        if backward:  # a point comes in with its tracks in the block beside
            forward = Follower(tracker.head, queries, InferenceConfig(), BoundedMemory(0))
            tracks = forward.push(*blocks[0])
            follower.add_context(blocks.pop(0)[0])
            follower.take_over(torch.ones(1, dtype=torch.bool), forward.descriptors, tracks)
        seen = []
        propose = follower._propose
        monkeypatch.setattr(follower, "_propose", lambda *a: seen.append(propose(*a)) or seen[-1])
        for features, start in blocks:
            follower.push(features, start)
        certainty, length = seen[-1].certainty[0, 0], 6
        assert certainty.shape == (length + 3,)
        assert (certainty[:length] if backward else certainty[3:]).max() > 0
        # What is known of the context is proposed there.
        assert (certainty[length:] if backward else certainty[:3]).max() > 0.5


def test_settings_must_be_positive() -> None:
    for name, value in (("block", 0), ("context", -1), ("point_chunk", 0), ("iterations", -1)):
        with pytest.raises(UserError, match=f"{name}={value}"):
            InferenceConfig(**{name: value})
    with pytest.raises(UserError, match="shown_from=1"):
        InferenceConfig(shown_from=1)
