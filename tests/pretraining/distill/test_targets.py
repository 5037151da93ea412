"""What lies under tokens: exact areas."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from tracker.pretraining.distill.targets import blend_covered, mean_under_tokens


def test_whole_cells() -> None:
    cells = torch.arange(16.0).reshape(1, 4, 4)
    under = mean_under_tokens(cells, (0, 0), (2, 2), (2, 2))
    assert under.tolist() == [[[2.5, 4.5], [10.5, 12.5]]]


def test_parts_of_cells_count_by_their_area() -> None:
    """Against pixels: cells painted on a fine grid, and averaged there."""
    cells = torch.randn(3, 5, 7, generator=Generator().manual_seed(0))
    fine = cells.repeat_interleave(20, 1).repeat_interleave(20, 2)
    under = mean_under_tokens(cells, (0.35, 1.2), (1.45, 1.3), (3, 4))
    for row in range(3):
        for column in range(4):
            top, left = 20 * (0.35 + 1.45 * row), 20 * (1.2 + 1.3 * column)
            box = fine[:, round(top) : round(top + 29), round(left) : round(left + 26)]
            torch.testing.assert_close(under[:, row, column], box.mean((1, 2)))


def test_the_border_goes_on_outside() -> None:
    cells = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    under = mean_under_tokens(cells, (-5, 1.5), (1, 1), (1, 2))
    assert under.tolist() == [[[2.0, 2.0]]]


@pytest.mark.parametrize(("share", "weight"), [(0.0, 1.0), (0.5, 0.0), (1.0, 1.0)])
def test_tokens_of_two_layers(share: float, weight: float) -> None:
    cover = torch.zeros(4, 8)
    cover[:, : round(8 * share)] = 1
    below, above = torch.zeros(2, 1, 1), torch.ones(2, 1, 1)
    features, weights = blend_covered(below, above, cover)
    assert features.flatten().tolist() == [share, share]
    assert weights.item() == weight
