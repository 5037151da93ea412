"""Frames that pass are shown once, in order, and decoded again only where they are not held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.video import passing
from tracker.video.passing import PassingFrames
from tracker.video.source import VideoInfo
from tracker.video.video import Video

LENGTH = 30
FRAME_BYTES = 4 * 6 * 3


class CountingSource:
    """Frames that hold their own number, and how many were decoded."""

    def __init__(self) -> None:
        self.info = VideoInfo("counting", (6, 4), LENGTH, 24.0)
        self.decoded = 0

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        for number in range(start, stop):
            self.decoded += 1
            yield np.full((4, 6, 3), number, np.uint8)


def numbers(frames: np.ndarray) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in frames]


@settings(deadline=None, max_examples=80)
@given(
    start=st.integers(0, 9),
    stride=st.integers(1, 4),
    held=st.integers(0, 12),
    kept=st.sets(st.integers(0, 6)),
    reads=st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), max_size=6),
)
def test_whatever_is_read_frames_are_shown_once_in_order(
    start: int, stride: int, held: int, kept: set[int], reads: list[tuple[int, int]]
) -> None:
    plain = Video(CountingSource()).select(start, None, stride)
    seen: list[int] = []
    kept = {t for t in kept if t < len(plain)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passing, "HELD_BYTES", held * FRAME_BYTES)
        frames = PassingFrames(plain, lambda frame: seen.append(int(frame[0, 0, 0])), kept)
        for first, stop in reads:
            np.testing.assert_array_equal(frames.video.read(first, stop), plain.read(first, stop))
        expected = numbers(plain.read())
        assert seen == expected[: len(seen)]
        frames.finish()
        assert seen == expected
        np.testing.assert_array_equal(frames.video.read(), plain.read())
        assert seen == expected
    assert (frames.video.source_frames, frames.video.fps) == (plain.source_frames, plain.fps)


def test_what_is_held_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "HELD_BYTES", 10 * FRAME_BYTES)
    source = CountingSource()
    frames = PassingFrames(Video(source), lambda frame: None, kept=[0, 15])
    for start in range(0, LENGTH, 10):
        frames.video.read(start, start + 10)
        frames.video.read(start, start + 10)
    assert source.decoded == LENGTH
    assert numbers(frames.video.read(15, 16)) == [15] and numbers(frames.video.read(0, 1)) == [0]
    assert source.decoded == LENGTH
    frames.video.read(19, 20)
    assert source.decoded == LENGTH + 1


def test_frames_that_are_left_out_pass_on_the_way() -> None:
    source = CountingSource()
    seen: list[np.ndarray] = []
    frames = PassingFrames(Video(source), seen.append)
    assert numbers(frames.video.read(20, 24)) == [20, 21, 22, 23]
    assert numbers(np.stack(seen)) == list(range(24)) and source.decoded == 24
    frames.finish()
    assert source.decoded == LENGTH
