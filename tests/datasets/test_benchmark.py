"""Samples: videos with true tracks that fit them; and the rendered benchmark."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tracker.datasets.benchmark import Sample
from tracker.errors import UserError
from tracker.video.video import Video


@pytest.fixture
def video(make_frames: Callable) -> Video:
    return Video.from_array(make_frames(4), name="clip")


def test_hidden_points_may_be_anywhere(video: Video) -> None:
    points = np.full((1, 4, 2), np.nan)
    points[0, 2] = 0.5
    sample = Sample(video, points, np.array([[1, 1, 0, 1]], bool))
    assert sample.video is video


@pytest.mark.parametrize(
    ("points", "occluded", "words"),
    [
        (np.zeros((2, 5, 2)), np.zeros((2, 5), bool), "points have shape"),
        (np.zeros((2, 4, 3)), np.zeros((2, 4), bool), "points have shape"),
        (np.zeros((2, 4, 2)), np.zeros((3, 4), bool), "occluded has shape"),
        (np.zeros((2, 4, 2)), np.ones((2, 4), bool), "no point is visible"),
        (np.zeros((0, 4, 2)), np.ones((0, 4), bool), "no point is visible"),
        (np.full((2, 4, 2), np.inf), np.zeros((2, 4), bool), "a visible point has no finite"),
    ],
)
def test_tracks_that_do_not_fit_are_refused(
    video: Video, points: np.ndarray, occluded: np.ndarray, words: str
) -> None:
    with pytest.raises(UserError, match=f"clip: {words}"):
        Sample(video, points, occluded)
