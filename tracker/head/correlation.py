"""Local 4D correlation: a patch round the query against a patch round each target.

The hot path of the tracker. Target patches are gathered at whole cells as rows of a channels-last
table (a plain memory copy), correlated, and only then interpolated: correlation is linear in the
features, so interpolating 49 x P products gives the same as interpolating 64 x C features, for a
fraction of the work of `grid_sample`.

Shapes: B videos, N points, T frames, P cells of the query's patch, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Level:
    """One resolution of the features.

    Attributes:
        table: `(B, T, h, w, C)`, channels last and contiguous.
        stride: `(2,) float32` fine pixels per cell in x and y.
    """

    table: Tensor
    stride: Tensor

    @classmethod
    def of(cls, features: Tensor, size: tuple[int, int]) -> Level:
        """Make a level of `(B, T, C, h, w)` features of a fine image of `size` `(W, H)`."""
        height, width = features.shape[-2:]
        stride = torch.tensor([size[0] / width, size[1] / height], device=features.device)
        return cls(features.permute(0, 1, 3, 4, 2).contiguous(), stride)

    @staticmethod
    def join(levels: Sequence[Level]) -> Level:
        """Concatenate along time."""
        return Level(torch.cat([level.table for level in levels], 1), levels[0].stride)

    def select_frames(self, index: slice) -> Level:
        """Return some of the frames."""
        return Level(self.table[:, index], self.stride)


def correlate_frames(queries: Tensor, level: Level) -> Tensor:
    """Correlate `(B, N, C)` with all places of all frames; returns `(B, N, T, h, w)`.

    In full precision whatever autocast says: near a peak, products in half precision tie.
    """
    with torch.autocast(queries.device.type, enabled=False):
        return torch.einsum("bnc,bthwc->bnthw", queries.float(), level.table.float())


def gather_cells(level: Level, xy: Tensor, radius: int, frame: Tensor) -> tuple[Tensor, Tensor]:
    """Collect the whole cells that surround positions; beyond the frame, its border repeats.

    Args:
        level: features.
        xy: `(B, N, T, 2)` fine pixels.
        radius: cells to each side that interpolated patches will have.
        frame: `(B, N, T)` or broadcastable to it, the frame to look into for each position.

    Returns:
        Cells `(B, N, T, K, K, C)` with `K = 2 * radius + 2`, rows first, and the fraction of a
        cell `(B, N, T, 2)` by which positions exceed the centre of cell `radius`.
    """
    batch, frames, height, width, channels = level.table.shape
    # Far outside, any place is as good as the border, and indices stay small.
    limit = xy.new_tensor([width, height])
    place = (xy / level.stride - 0.5).clamp(-limit, 2 * limit)
    corner = place.floor()
    offsets = torch.arange(-radius, radius + 2, device=xy.device)
    column = (corner[..., 0, None].long() + offsets).clamp(0, width - 1)
    row = (corner[..., 1, None].long() + offsets).clamp(0, height - 1)
    clip = torch.arange(batch, device=xy.device)[:, None, None]
    first_row = ((clip * frames + frame) * height)[..., None]
    index = ((first_row + row) * width)[..., :, None] + column[..., None, :]
    cells = level.table.reshape(-1, channels).index_select(0, index.reshape(-1))
    return cells.view(*index.shape, channels), place - corner


def interpolate_patch(cells: Tensor, fraction: Tensor) -> Tensor:
    """Bilinear patches from whole cells.

    Args:
        cells: `(..., K, K, C)`, rows first.
        fraction: `(..., 2)` in x and y.

    Returns:
        `(..., K - 1, K - 1, C)`.
    """
    # Under autocast products come in half precision, positions never do.
    fraction = fraction.to(cells.dtype)
    x, y = fraction[..., 0, None, None, None], fraction[..., 1, None, None, None]
    rows = torch.lerp(cells[..., :-1, :, :], cells[..., 1:, :, :], y)
    return torch.lerp(rows[..., :, :-1, :], rows[..., :, 1:, :], x)


def sample_query_patches(level: Level, xy: Tensor, frame: Tensor, radius: int) -> Tensor:
    """Describe queries by the patch round them in their own frame.

    Args:
        level: features.
        xy: `(B, N, 2)` fine pixels.
        frame: `(B, N)` frame of each query among those of the level.
        radius: cells to each side.

    Returns:
        `(B, N, P, C)` with `P = (2 * radius + 1) ** 2`.
    """
    cells, fraction = gather_cells(level, xy[:, :, None], radius, frame[:, :, None])
    return interpolate_patch(cells, fraction).flatten(2, 4)


def local_correlation(level: Level, query: Tensor, xy: Tensor, radius: int) -> Tensor:
    """Correlate every cell of the query's patch with every cell round each target position.

    Args:
        level: features.
        query: `(B, N, P, C)` from `sample_query_patches`.
        xy: `(B, N, T, 2)` fine pixels.
        radius: cells to each side of the target.

    Returns:
        `(B, N, T, (2 * radius + 1) ** 2 * P)`.
    """
    every_frame = torch.arange(xy.shape[2], device=xy.device)
    cells, fraction = gather_cells(level, xy, radius, every_frame)
    batch, points, frames, side = cells.shape[:4]
    flat = cells.reshape(batch * points, frames * side * side, -1)
    products = torch.bmm(flat, query.flatten(0, 1).transpose(1, 2))
    products = products.view(batch, points, frames, side, side, -1)
    return interpolate_patch(products, fraction).flatten(3)
