"""Frames are sent as they are, whatever the order."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tracker.errors import UserError
from tracker.video.loading import load_video
from tracker.video.video import Video
from tracker.web.pictures import LONGEST_SIDE, FramePictures


def test_every_frame_comes_right_from_many_threads(clip: Path) -> None:
    frames = load_video(clip).read()
    pictures = FramePictures(load_video(clip))
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(60), 2)).tolist()
    with ThreadPoolExecutor(4) as pool:
        for t, data in zip(order, pool.map(pictures.jpeg, order), strict=True):
            picture = np.asarray(Image.open(io.BytesIO(data))).astype(int)
            distances = np.abs(picture - frames).mean(axis=(1, 2, 3))
            assert distances.argmin() == t and distances[t] < 4
    np.testing.assert_array_equal(pictures.frame(33), frames[33])


def test_large_frames_are_sent_smaller() -> None:
    video = Video.from_array(np.zeros((1, 20, 2 * LONGEST_SIDE, 3), np.uint8))
    with Image.open(io.BytesIO(FramePictures(video).jpeg(0))) as picture:
        assert picture.size == (LONGEST_SIDE, 10)


@pytest.mark.parametrize("t", [-1, 60])
def test_frames_that_are_not_there_are_refused(clip: Path, t: int) -> None:
    with pytest.raises(UserError, match=r"0\.\.59"):
        FramePictures(load_video(clip)).jpeg(t)


def test_damaged_frames_are_a_line(tmp_path: Path, write_damaged: Callable) -> None:
    write_damaged(tmp_path / "damaged.mp4")
    video = load_video(tmp_path / "damaged.mp4")
    pictures = FramePictures(video)
    assert pictures.jpeg(0)
    with pytest.raises(UserError, match="decoded"):
        pictures.jpeg(len(video) - 1)
