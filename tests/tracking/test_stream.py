"""Streams: as good as whole videos forwards, causal, of constant memory."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_models import tiny_tracker, tiny_video

from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks

SIZE = (96, 64)


def test_equals_tracking_forwards() -> None:
    tracker, video, queries = tiny_tracker(), tiny_video(20), Queries.grid(3, SIZE)
    whole = tracker.track(video, queries)
    stream = tracker.stream(queries, SIZE)
    parts = [stream.push(chunk) for chunk in video.chunks(8)]
    xy = np.concatenate([part.xy for part in parts], axis=1)
    np.testing.assert_allclose(xy, whole.xy, atol=1e-2)
    assert stream.num_frames == 20
    joined = Tracks.concat(parts)
    np.testing.assert_array_equal(joined.xy, xy)
    np.testing.assert_array_equal(joined.queries, whole.queries)


def test_the_future_does_not_change_the_past() -> None:
    tracker, queries = tiny_tracker(), Queries.grid(3, SIZE)
    one, other = tiny_video(16).read(), tiny_video(16).read()
    other[8:] = 255 - other[8:]
    results = []
    for frames in (one, other):
        stream = tracker.stream(queries, SIZE)
        results.append([stream.push(frames[:5]), stream.push(frames[5:8])])
        stream.push(frames[8:])
    assert results[0] == results[1]


def test_frames_before_any_query() -> None:
    video, queries = tiny_video(16), Queries([[10, 40, 30]])
    stream = tiny_tracker().stream(queries, SIZE)
    early = [stream.push(chunk) for chunk in (video.read(0, 4), video.read(4, 8))]
    assert not any(part.visible.any() for part in early)
    late = stream.push(video.read(8, 16))
    whole = tiny_tracker().track(video, queries)
    np.testing.assert_allclose(late.xy[:, 2:], whole.xy[:, 10:], atol=1e-2)


def test_queries_wait_for_their_frame() -> None:
    stream = tiny_tracker().stream(Queries([[0, 20, 20], [10, 40, 30]]), SIZE)
    frames = tiny_video(16).read()
    early = stream.push(frames[:8])
    assert not early.visible[1].any()
    np.testing.assert_allclose(early.xy[1], np.tile([40, 30], (8, 1)), atol=1e-3)
    late = stream.push(frames[8:])
    np.testing.assert_allclose(late.xy[1, 2], [40, 30], atol=1e-3)
    assert late.queries[1].tolist() == [2, 40, 30]
    assert np.ptp(late.xy[1, 3:], axis=0).max() > 0


@pytest.mark.parametrize("length", [1, 2, 3, 20])
def test_pushes_of_any_length(length: int) -> None:
    stream = tiny_tracker().stream(Queries.grid(2, SIZE), SIZE)
    for chunk in tiny_video(20).chunks(length):
        assert stream.push(chunk).xy.shape == (4, len(chunk), 2)


def test_what_it_keeps_does_not_grow() -> None:
    stream = tiny_tracker().stream(Queries.grid(2, SIZE), SIZE)
    for _ in range(6):
        stream.push(tiny_video(10).read())
    assert len(stream._before) == 8
    assert stream._follower._features.num_frames == 4


def test_frames_of_changing_size() -> None:
    stream = tiny_tracker().stream(Queries.grid(2, SIZE), SIZE)
    stream.push(tiny_video(4).read())
    with pytest.raises(UserError, match=r"pushed frames have shape \(4, 64, 80, 3\)"):
        stream.push(tiny_video(4, width=80).read())
    with pytest.raises(UserError, match="uint8"):
        stream.push(tiny_video(4).read().astype(np.float32))
