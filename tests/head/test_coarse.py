"""The coarse match: votes over the whole frame, and the soft argmax around their peak."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.head.coarse import CoarseMatch, peaks
from tracker.head.correlation import Level


def mean_round_the_peak(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return CoarseMatch(1).soft_argmax(logits, logits.flatten(1).argmax(1), size)


@settings(deadline=None, max_examples=25)
@given(row=st.integers(0, 7), column=st.integers(0, 11))
def test_soft_argmax_finds_a_single_peak(row: int, column: int) -> None:
    logits = torch.full((1, 8, 12), -50.0)
    logits[0, row, column] = 50.0
    xy = mean_round_the_peak(logits, (120, 80))
    torch.testing.assert_close(xy, torch.tensor([[column * 10 + 5.0, row * 10 + 5.0]]))


def test_soft_argmax_ignores_what_lies_far_from_the_peak() -> None:
    logits = torch.full((1, 8, 12), -50.0)
    logits[0, 2, 3], logits[0, 2, 4] = 10.0, 10.0
    near = mean_round_the_peak(logits, (120, 80))
    logits[0, 7, 11] = 9.9
    torch.testing.assert_close(mean_round_the_peak(logits, (120, 80)), near)
    torch.testing.assert_close(near, torch.tensor([[40.0, 25.0]]))


def test_coarse_match_finds_a_planted_feature() -> None:
    features = F.normalize(torch.randn(1, 3, 16, 6, 6, generator=torch.manual_seed(0)), dim=2)
    level = Level.of(features, (96, 96))
    query = features[0, 1, :, 2, 4][None, None]
    match = CoarseMatch(1)
    xy, visibility_logits, logits = match([query], [level], (96, 96))
    assert xy.shape == visibility_logits.shape == (1, 1, 3, 2)
    assert logits.shape == (1, 1, 3, 6, 6)
    assert (xy[0, 0, 1] - torch.tensor([72.0, 40.0])).norm() < 2


def test_coarse_match_counts_votes_on_the_finest_grid() -> None:
    random = torch.manual_seed(0)
    coarse, fine = (
        F.normalize(torch.randn(1, 2, 32, n, n, generator=random), dim=2) for n in (6, 24)
    )
    maps = [Level.of(x, (96, 96)) for x in (coarse, fine)]
    queries = [coarse[0, 1, :, 2, 4][None, None], fine[0, 1, :, 9, 17][None, None]]
    match = CoarseMatch(2)
    xy, _, logits = match(queries, maps, (96, 96))
    assert logits.shape == (1, 1, 2, 24, 24)
    assert (xy[0, 0, 1] - torch.tensor([70.0, 38.0])).norm() < 1
    # A branch that says the same everywhere leaves the decision to the other.
    flat = Level.of(torch.ones_like(coarse), (96, 96))
    undecided, _, _ = match(queries, [flat, maps[1]], (96, 96))
    assert (undecided[0, 0, 1] - torch.tensor([70.0, 38.0])).norm() < 1
    with torch.no_grad():
        match.log_temperature[1] = -20.0
    blurred, _, _ = match(queries, maps, (96, 96))
    assert (blurred[0, 0, 1] - torch.tensor([72.0, 40.0])).norm() < 4


def test_soft_argmax_at_a_corner_stays_inside() -> None:
    logits = torch.zeros(2, 8, 12)
    logits[0, 0, 0], logits[1, 7, 11] = 9.0, 9.0
    xy = mean_round_the_peak(logits, (120, 80))
    assert (xy > 0).all()
    assert (xy < torch.tensor([120.0, 80.0])).all()
    assert (xy - torch.tensor([[5.0, 5.0], [115.0, 75.0]])).norm(dim=1).max() < 1


def test_frame_by_frame_finds_the_same_as_all_frames_at_once() -> None:
    random = torch.manual_seed(0)
    coarse, fine = (
        F.normalize(torch.randn(2, 3, 32, n, n, generator=random), dim=2) for n in (6, 24)
    )
    maps = [Level.of(x, (96, 96)) for x in (coarse, fine)]
    queries = [torch.randn(2, 5, 32, generator=random) for _ in maps]
    match = CoarseMatch(2)
    torch.nn.init.normal_(match.conv2.weight, generator=random)
    xy, visibility_logits, logits = match(queries, maps, (96, 96))
    with torch.no_grad():
        alone = match(queries, maps, (96, 96))
    torch.testing.assert_close(alone[0], xy, atol=1e-3, rtol=0)
    torch.testing.assert_close(alone[1], visibility_logits, atol=1e-4, rtol=0)
    assert logits is not None and alone[2] is None


@settings(deadline=None, max_examples=25)
@given(grid=st.tuples(st.integers(1, 8), st.integers(1, 8)), factor=st.integers(1, 4))
def test_peaks_are_those_of_each_cell(grid: tuple[int, int], factor: int) -> None:
    height, width = factor * grid[0], factor * grid[1]
    maps = torch.randn(3, 1, height, width, generator=torch.manual_seed(height))
    torch.testing.assert_close(peaks(maps, grid), F.adaptive_max_pool2d(maps, grid))
    larger = (grid[0] + 1, grid[1] + 1)
    torch.testing.assert_close(peaks(maps, larger), F.adaptive_max_pool2d(maps, larger))
