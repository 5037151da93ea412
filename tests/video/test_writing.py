"""Encoding frames as a video file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import UserError
from tracker.video.loading import load_video
from tracker.video.writing import write_video

COUNTING = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 4, 6, 3))


@settings(deadline=None, max_examples=6)
@given(width=st.integers(1, 35), height=st.integers(1, 35))
def test_any_size_can_be_encoded(
    width: int, height: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("odd") / "odd.mp4"
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(60, 200, (1, 1, 1, 3), np.uint8), 3, axis=0)
    frames = np.broadcast_to(frames, (3, height, width, 3))
    assert write_video(path, frames, fps=10) == 3
    video = load_video(path)
    assert video.size == (width + width % 2, height + height % 2)
    # The repeated row or column has the picture's colour, not black.
    assert np.abs(video.read().astype(int) - frames[0, 0, 0]).max() < 25


def test_encoding_keeps_frames_rate_and_order(clip: Path, clip_frames: np.ndarray) -> None:
    video = load_video(clip)
    assert (len(video), video.fps) == (60, 24)
    decoded = video.read().astype(int)
    # Lossy, but every frame is nearer to its own original than any is to the next.
    own = np.abs(decoded - clip_frames).mean(axis=(1, 2, 3))[:-1]
    following = np.abs(decoded[:-1] - clip_frames[1:]).mean(axis=(1, 2, 3))
    assert own.max() < following.min()
    assert [p.name for p in clip.parent.iterdir()] == ["clip.mp4"]


def test_encoding_counts_frames_for_a_progress_bar(tmp_path: Path) -> None:
    seen = []
    write_video(tmp_path / "a.mp4", COUNTING[:7], 24, on_frame=lambda: seen.append(1))
    assert len(seen) == 7


def test_encoding_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("old")

    def frames() -> Iterator[np.ndarray]:
        yield np.zeros((8, 8, 3), np.uint8)
        raise UserError("frame 1 is broken")

    with pytest.raises(UserError, match="frame 1 is broken"):
        write_video(path, frames(), 24)
    with pytest.raises(UserError, match="no frames to write"):
        write_video(path, [], 24)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(UserError, match=r"cannot write .*x\.mp4"):
        write_video(tmp_path / "nowhere" / "x.mp4", COUNTING, 24)
