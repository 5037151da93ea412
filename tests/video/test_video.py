"""`Video`: ranges, strides, chunks, resizing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import UserError
from tracker.video.loading import load_video
from tracker.video.video import Video

COUNTING = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 4, 6, 3))


def numbers(frames: np.ndarray) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in frames]


@settings(deadline=None, max_examples=80)
@given(
    start=st.integers(0, 45),
    stop=st.none() | st.integers(-5, 45),
    stride=st.integers(1, 9),
    inner=st.tuples(st.integers(0, 45), st.integers(0, 45)),
    again=st.integers(1, 4),
)
def test_ranges_are_those_of_python(
    start: int, stop: int | None, stride: int, inner: tuple[int, int], again: int
) -> None:
    counted = stop is None or stop >= 0  # frames are not counted from the end
    expected = list(range(40))[start:stop:stride] if counted else []
    if not expected:
        with pytest.raises(UserError, match="no frames from"):
            load_video(COUNTING, start, stop, stride)
        return
    video = load_video(COUNTING, start, stop, stride)
    assert numbers(video.read()) == expected and len(video) == len(expected)
    assert numbers(video.read(*inner)) == expected[slice(*inner)]
    assert numbers(video.select(stride=again).read()) == expected[::again]
    assert video.select(stride=again).fps == pytest.approx(24 / stride / again)
    last = len(video) - 1
    assert numbers(list(video.reversed_frames(last))) == expected[::-1]


@pytest.mark.parametrize(("start", "stride"), [(0, 1), (3, 4), (59, 7)])
def test_stride_of_a_file(clip: Path, clip_frames: np.ndarray, start: int, stride: int) -> None:
    video = load_video(clip, start, None, stride)
    np.testing.assert_array_equal(video.read(), load_video(clip).read()[start::stride])


@settings(deadline=None, max_examples=30)
@given(length=st.integers(1, 50))
def test_chunks_are_the_video_in_order(length: int) -> None:
    chunks = list(load_video(COUNTING).chunks(length))
    assert all(len(chunk) == length for chunk in chunks[:-1]) and len(chunks[-1]) <= length
    assert numbers(np.concatenate(chunks)) == list(range(40))


def test_chunks_do_not_grow_with_the_video() -> None:
    frame = np.zeros((1, 1, 1, 3), np.uint8)
    video = Video.from_array(np.broadcast_to(frame, (10_000, 360, 640, 3)))
    first = next(video.chunks())
    assert 40 * 2**20 < first.nbytes <= 48 * 2**20


def test_resized_frames_keep_their_place() -> None:
    frame = np.zeros((4, 40, 60, 3), np.uint8)
    frame[:, :20, :30] = 200  # the upper left quarter stays the upper left quarter
    small = load_video(frame).resized((30, 10))
    assert small.size == (30, 10) and len(small) == 4
    picture = small.read(1, 2)[0].astype(int)
    assert (picture[:4, :13] > 190).all() and (picture[6:] < 10).all()
    assert (picture[:, 17:] < 10).all()


@settings(deadline=None, max_examples=60)
@given(index=st.integers(-40, 39), cut=st.slices(40))
def test_videos_are_indexed_as_lists_are(index: int, cut: slice) -> None:
    video = load_video(COUNTING)
    assert video[index][0, 0, 0] == range(40)[index]
    expected = list(range(40))[cut]
    if not expected or (cut.step or 1) < 0:
        with pytest.raises(UserError):
            video[cut]
    else:
        assert numbers(list(video[cut])) == expected
    assert numbers(list(video)) == list(range(40))


def test_frames_beyond_the_end_are_an_index_error() -> None:
    with pytest.raises(IndexError):
        load_video(COUNTING)[40]
