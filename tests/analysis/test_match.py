"""Similarity maps against planted correspondences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Generator

from tracker.analysis.match import analyze_match, peaks, sample_points, similarity_maps
from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.video.video import Video


def test_points_are_read_at_patch_centres_and_between_them() -> None:
    features = torch.zeros(2, 1, 2, 2)
    features[1, 0] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    slot = torch.tensor([0, 0, 1, 1])
    queries = torch.tensor([[1, 0.25, 0.25], [2, 0.75, 0.25], [3, 0.5, 0.5], [3, 0.0, 1.0]])
    found = sample_points(features, slot, queries)
    torch.testing.assert_close(found[:, 0], torch.tensor([0.0, 2.0, 2.5, 3.0]))


def test_a_planted_feature_is_found_where_it_went() -> None:
    features = torch.randn(3, 64, 4, 6, generator=Generator().manual_seed(0))
    path = [(1, 2), (2, 3), (3, 5)]
    for slot, (row, column) in enumerate(path):
        features[slot, :, row, column] = (slot + 1) * torch.ones(64)
    point = sample_points(features, torch.arange(3), torch.tensor([[0, 2.5 / 6, 1.5 / 4]]))
    maps = similarity_maps(features, point)
    xy, value = peaks(maps[0])
    expected = [[(column + 0.5) / 6, (row + 0.5) / 4] for row, column in path]
    torch.testing.assert_close(xy, torch.tensor(expected))
    torch.testing.assert_close(value, torch.ones(3))


def test_numbers_are_in_pixels_of_the_video(open_features: Callable) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 48, 96, 3), np.uint8).repeat(3, 0)
    report = analyze_match(
        open_features(template="none", layers=(1, 2)),
        Video.from_array(frames),
        Queries.parse(["0,84,30", "2,12,6"]),
    )
    points = report.numbers["points"]
    assert [(p["layer"], p["point"]) for p in points] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    # Patches are 24 x 12 pixels of the video: the points are centres of two of them.
    assert points[0]["raw"]["best_xy"][0] == [84, 30]
    assert points[1]["raw"]["best_xy"][2] == [12, 6]
    assert len(points[0]["raw"]["best_xy"]) == 3 and "residual" not in points[0]
    assert points[0]["raw"]["best_similarity"][0] == pytest.approx(1, abs=1e-4)
    assert len(report.figures) == 4


def test_a_rendered_clip_is_matched_with_residuals(open_features: Callable) -> None:
    report = analyze_match(open_features(clips=2, window=4), None, Queries.parse(["3,40,24"]))
    (point,) = report.numbers["points"]
    for version in ("raw", "residual"):
        assert point[version]["best_xy"][3] == [40, 24]
        assert point[version]["mean"] < point[version]["mean_of_best"]


@pytest.mark.parametrize(
    ("points", "words"),
    [(["0,65,3"], "outside the frame of 64x64"), (["8,1,1"], "0..7")],
)
def test_points_outside_are_refused(open_features: Callable, points: list, words: str) -> None:
    with pytest.raises(UserError, match=words):
        analyze_match(open_features(), None, Queries.parse(points))


def test_a_video_that_is_too_long_is_refused(open_features: Callable) -> None:
    video = Video.from_array(np.zeros((513, 16, 16, 3), np.uint8))
    with pytest.raises(UserError, match=r"513 frames; choose 512"):
        analyze_match(open_features(), video, Queries.parse(["0,1,1"]))
