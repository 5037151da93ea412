"""Streams: as good as whole videos forwards, causal, of constant memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
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
    assert stream._follower.near.num_frames == 4


def test_frames_of_changing_size() -> None:
    stream = tiny_tracker().stream(Queries.grid(2, SIZE), SIZE)
    stream.push(tiny_video(4).read())
    with pytest.raises(UserError, match=r"pushed frames have shape \(4, 64, 80, 3\)"):
        stream.push(tiny_video(4, width=80).read())
    with pytest.raises(UserError, match="uint8"):
        stream.push(tiny_video(4).read().astype(np.float32))


def test_flow_between_two_frames_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[bytes] = []

    def counting(method: object, one: np.ndarray, two: np.ndarray) -> np.ndarray:
        computed.append(one.tobytes() + two.tobytes())
        return np.zeros((*one.shape, 2), np.float16)

    monkeypatch.setattr("tracker.flow.fields.field_between", counting)
    stream = tiny_tracker(context=8).stream(Queries.grid(3, SIZE), SIZE)
    for chunk in tiny_video(12).chunks(1):
        stream.push(chunk)
    assert len(computed) == len(set(computed)) > 0


def test_only_new_frames_are_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = tiny_tracker()
    match, frames = tracker.head._match, []

    def counting(features: object, queries: object) -> object:
        frames.append(features.num_frames)
        return match(features, queries)

    monkeypatch.setattr(tracker.head, "_match", counting)
    stream = tracker.stream(Queries.grid(3, SIZE), SIZE)
    for chunk in tiny_video(8).chunks(1):
        stream.push(chunk)
    # The first frame is matched with the queries, and once more as the first context.
    assert frames == [1, 1, *[1] * 7]


def test_points_come_and_go_while_it_runs() -> None:
    tracker, video = tiny_tracker(), tiny_video(16)
    first, second = Queries([[0, 20, 20], [0, 60, 40]]), Queries([[7, 40, 30], [9, 30, 50]])
    stream, plain = tracker.stream(first, SIZE), tracker.stream(first, SIZE)
    for start in (0, 4):
        assert stream.push(video.read(start, start + 4)) == plain.push(video.read(start, start + 4))
    stream.add(second)  # one in the last frame that was pushed, one in a frame to come
    parts = [stream.push(video.read(8, 12))]
    assert parts[0].xy.shape == (4, 4, 2)
    np.testing.assert_allclose(parts[0].xy[3, 1], [30, 50], atol=1e-3)
    assert np.linalg.norm(parts[0].xy[2, 0] - [40, 30]) < 32
    stream.remove([0, 2])
    after = stream.push(video.read(12, 16))
    assert [tuple(query[1:]) for query in after.queries.tolist()] == [(60, 40), (30, 50)]
    plain.push(video.read(8, 12))
    np.testing.assert_allclose(after.xy[0], plain.push(video.read(12, 16)).xy[1], atol=0.3)


def test_points_that_cannot_be_added_or_removed() -> None:
    stream = tiny_tracker().stream(Queries.grid(2, SIZE), SIZE)
    stream.push(tiny_video(12).read())
    with pytest.raises(UserError, match="frame 7, which this stream no longer holds"):
        stream.add(Queries([[7, 20, 20]]))
    with pytest.raises(UserError, match="outside the frame"):
        stream.add(Queries([[12, 97, 20]]))
    with pytest.raises(UserError, match=r"point 4 is not one of this stream's points 0\.\.3"):
        stream.remove([4])
    with pytest.raises(UserError, match="at least one point"):
        stream.remove(range(4))


@pytest.mark.parametrize("length", [1, 3, 8])
def test_going_on_elsewhere_equals_not_having_stopped(length: int, tmp_path: Path) -> None:
    video, queries = tiny_video(16), Queries([[0, 20, 20], [2, 60, 40], [12, 30, 30]])
    stream = tiny_tracker().stream(queries, SIZE)
    for start in range(0, 8, length):
        stream.push(video.read(start, start + length))
    save_file(stream.state(), tmp_path / "stream.safetensors")
    other = tiny_tracker().stream(Queries.grid(1, SIZE), SIZE)
    other.push(tiny_video(3, seed=1).read())
    other.load_state(load_file(tmp_path / "stream.safetensors"))
    assert other.num_frames == stream.num_frames
    for start in range(stream.num_frames, 16, length):
        chunk = video.read(start, start + length)
        assert other.push(chunk) == stream.push(chunk)


def test_states_that_do_not_fit() -> None:
    state = tiny_tracker().stream(Queries.grid(2, SIZE), SIZE).state()
    with pytest.raises(UserError, match="96x64, and this stream takes 64x96"):
        tiny_tracker().stream(Queries.grid(2, (64, 96)), (64, 96)).load_state(state)
    with pytest.raises(UserError, match="another tracker"):
        tiny_tracker(context=2).stream(Queries.grid(2, SIZE), SIZE).load_state(state)
    del state["queries"]
    with pytest.raises(UserError, match="'queries' is missing"):
        tiny_tracker().stream(Queries.grid(2, SIZE), SIZE).load_state(state)


def test_streams_take_pictures_and_points_as_people_have_them() -> None:
    tracker, frames = tiny_tracker(), tiny_video(8).read()
    table = pd.DataFrame({"t": [0], "x": [20], "y": [30], "name": ["eye"]})
    expected = tracker.stream(Queries([[0, 20, 30]], ["eye"]), SIZE).push(frames)
    channels_first = torch.from_numpy(frames).permute(0, 3, 1, 2)
    for held in (channels_first, list(frames), [Image.fromarray(frame) for frame in frames]):
        assert tracker.stream(table, SIZE).push(held) == expected
    with pytest.raises(UserError, match="uint8"):
        tracker.stream(table, SIZE).push(channels_first / 255)


def test_names_stay_with_points_that_come_and_go() -> None:
    tracker, frames = tiny_tracker(), tiny_video(8).read()
    stream = tracker.stream(Queries([[0, 20, 30], [0, 30, 30]], ["eye", "tail"]), SIZE)
    stream.push(frames[:4])
    stream.add([(3, 40, 30)])
    stream.remove([0])
    other = tracker.stream([(0, 1, 1)], SIZE)
    other.load_state(stream.state())
    assert stream.push(frames[4:]).names == other.push(frames[4:]).names == ("tail", "")


def test_a_stream_follows_each_point_from_one_place() -> None:
    tracker = tiny_tracker()
    with pytest.raises(UserError, match="'eye' has several rows; give points different names"):
        tracker.stream(Queries([[0, 20, 30], [4, 30, 30]], ["eye", "eye"]), SIZE)
    stream = tracker.stream(Queries([[0, 20, 30]], ["eye"]), SIZE)
    with pytest.raises(UserError, match="'eye' has several rows"):
        stream.add(Queries([[4, 30, 30]], ["eye"]))
    assert len(stream.queries) == 1
