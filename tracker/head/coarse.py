"""The coarse match: where in the whole frame does each query fit best?

Votes are counted on the finest grid, stride 4 of the RGB stem, whose features carry those of the
coarser strides with them: there the best place is found more often than on patches of 16 pixels,
and more precisely.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tracker.head.correlation import Level, correlate_frames

CONTEXT_STRIDE = 16
"""Fine pixels per cell of the grid on which the shape of a correlation map is judged."""

START_TEMPERATURE = 20.0


class CoarseMatch(nn.Module):
    """Cosine correlation of queries with whole frames, soft-argmax round the peak.

    Args:
        branches: how many feature maps (V-JEPA, RGB) are correlated.
        hidden: channels of the small convolution on the correlation maps.
        radius: cells round the peak that the soft-argmax averages over.
    """

    def __init__(self, branches: int, hidden: int = 16, radius: int = 2) -> None:
        super().__init__()
        self.radius = radius
        self.log_temperature = nn.Parameter(torch.full((branches,), math.log(START_TEMPERATURE)))
        self.conv1 = nn.Conv2d(branches, hidden, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden, 1, 3, padding=1)
        self.judge = nn.Linear(2 * hidden + 1, 2)
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, queries: list[Tensor], maps: list[Level], size: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Match queries in all frames.

        Args:
            queries: for each branch `(B, N, C)`.
            maps: for each branch, of unit length, each on a grid of its own.
            size: `(W, H)` of the fine image.

        Returns:
            Positions `(B, N, T, 2)` in fine pixels; logits of visibility and of being uncertain
            `(B, N, T, 2)`; logits of the map `(B, N, T, h, w)` on the finest of the grids, or None
            where no gradient can reach them.
        """
        if torch.is_grad_enabled() or not maps[0].table.is_cpu:
            return self._match(queries, maps, size)
        # Frame by frame the maps stay in a CPU's caches: half the time, and little memory.
        frames = [slice(t, t + 1) for t in range(maps[0].table.shape[1])]
        parts = [
            self._match(queries, [level.select_frames(t) for level in maps], size)[:2]
            for t in frames
        ]
        xy, visibility_logits = (torch.cat(part, 2) for part in zip(*parts, strict=True))
        return xy, visibility_logits, None

    def _match(
        self, queries: list[Tensor], maps: list[Level], size: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        temperatures = self.log_temperature.exp()
        votes = [
            correlate_frames(t * F.normalize(query, dim=-1), level)
            for t, query, level in zip(temperatures, queries, maps, strict=True)
        ]
        shape = votes[0].shape[:3]
        votes = [vote.flatten(0, 2)[:, None] for vote in votes]
        context = (size[1] // CONTEXT_STRIDE, size[0] // CONTEXT_STRIDE)
        near = torch.cat([peaks(vote, context) for vote in votes], dim=1)
        hidden = F.gelu(self.conv1(near * (10 / temperatures)[:, None, None]))
        # All that is coarse is summed up first: few passes over the finest grid cost least.
        finest = max(((vote.shape[-2], vote.shape[-1]) for vote in votes), key=math.prod)
        fine = [vote for vote in votes if vote.shape[-2:] == finest]
        rest = [enlarge(vote, context) for vote in votes if vote.shape[-2:] != finest]
        logits = enlarge(sum(rest, self.conv2(hidden)), finest)
        logits = sum(fine, logits)[:, 0]
        highest, peak = logits.flatten(1).max(1)
        pooled = torch.cat([hidden.amax((2, 3)), hidden.mean((2, 3)), highest[:, None]], 1)
        visibility_logits = self.judge(pooled)
        xy = self.soft_argmax(logits, peak, size)
        return (
            xy.unflatten(0, shape),
            visibility_logits.unflatten(0, shape),
            logits.unflatten(0, shape),
        )

    def soft_argmax(self, logits: Tensor, peak: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the mean position near the peak of each map, `(M, 2)` fine pixels.

        Args:
            logits: `(M, h, w)`.
            peak: `(M,)` the cell of each map to look around, counted row by row.
            size: `(W, H)` of the fine image.
        """
        height, width = logits.shape[-2:]
        offsets = torch.arange(-self.radius, self.radius + 1, device=logits.device)
        x, y = (peak % width)[:, None] + offsets, (peak // width)[:, None] + offsets
        outside_x, outside_y = (x < 0) | (x >= width), (y < 0) | (y >= height)
        cell = y.clamp(0, height - 1)[:, :, None] * width + x.clamp(0, width - 1)[:, None, :]
        near = logits.flatten(1).gather(1, cell.flatten(1)).view(cell.shape)
        near = near.masked_fill(outside_y[:, :, None] | outside_x[:, None, :], float("-inf"))
        weights = near.flatten(1).softmax(1).view(cell.shape)
        place_x = (weights.sum(1) * (x + 0.5)).sum(1) * size[0] / width
        place_y = (weights.sum(2) * (y + 0.5)).sum(1) * size[1] / height
        return torch.stack([place_x, place_y], dim=1)


def peaks(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the largest value of maps `(M, 1, h, w)` in each cell of another grid."""
    (rows, columns), (height, width) = grid, maps.shape[-2:]
    if height % rows or width % columns:
        return F.adaptive_max_pool2d(maps, grid)
    # The same, rows first: pooling in one step is several times as slow on a CPU.
    maps = maps.unflatten(2, (rows, height // rows)).amax(3)
    return maps.unflatten(3, (columns, width // columns)).amax(4)


def enlarge(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Interpolate maps `(M, 1, h, w)` to another grid; a map that is on it already stays."""
    if maps.shape[-2:] == grid:
        return maps
    return F.interpolate(maps, grid, mode="bilinear")
