"""What lies under each token of a crop, by the teacher's map of the whole view.

Shapes: C channels, h x w cells of a map, g x g tokens of a crop.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def mean_under_tokens(
    cells: Tensor, corner: tuple[float, float], token: tuple[float, float], grid: tuple[int, int]
) -> Tensor:
    """Average a map over the area of each token, cells counted by the part that is covered.

    Args:
        cells: `(..., h, w)`, constant within a cell.
        corner: `(top, left)` of the first token, in cells.
        token: `(height, width)` of a token, in cells.
        grid: `(rows, columns)` of tokens.

    Returns:
        `(..., rows, columns)`; what lies outside of the map counts as its border.
    """
    rows, columns = (
        torch.stack([_shares(start + n * step, step, size) for n in range(number)])
        for start, step, number, size in zip(corner, token, grid, cells.shape[-2:], strict=True)
    )
    return torch.einsum("rh,...hw,kw->...rk", rows, cells, columns)


def _shares(start: float, length: float, cells: int) -> Tensor:
    """Return `(cells,)` the share of an interval that lies in each cell, summing to 1."""
    edges = torch.arange(cells + 1, dtype=torch.float64)
    edges[0], edges[-1] = -torch.inf, torch.inf  # the border goes on outside
    inside = edges.clamp(start, start + length)
    return ((inside[1:] - inside[:-1]) / length).float()


def blend_covered(below: Tensor, above: Tensor, cover: Tensor) -> tuple[Tensor, Tensor]:
    """Mix the features of two layers where one covers the other.

    Args:
        below: `(C, g, g)` features of the lower layer.
        above: `(C, g, g)` of the upper one.
        cover: `(P, P)` in 0..1, how far the upper one hides each pixel of the crop.

    Returns:
        Features `(C, g, g)`, and weights `(g, g)` in 0..1: the more evenly a token shows both
        layers, the less it counts.
    """
    grid = (below.shape[1], below.shape[2])
    share = F.adaptive_avg_pool2d(cover[None, None], grid)[0, 0]
    return below + share * (above - below), (2 * share - 1).abs()
