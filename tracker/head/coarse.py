"""The coarse match: where in the whole frame does each query fit best?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tracker.head.correlation import Level


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
        self.temperature = nn.Parameter(torch.full((branches,), 20.0 / branches))
        self.conv1 = nn.Conv2d(branches, hidden, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden, 1, 3, padding=1)
        self.judge = nn.Linear(2 * hidden + 1, 2)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(
        self, queries: list[Tensor], maps: list[Level], size: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Match queries in all frames.

        Args:
            queries: for each branch `(B, N, C)`.
            maps: for each branch, all of one grid and of unit length.
            size: `(W, H)` of the fine image.

        Returns:
            Positions `(B, N, T, 2)` in fine pixels; logits of visibility and of being uncertain
            `(B, N, T, 2)`; logits of the map `(B, N, T, h, w)`.
        """
        cosines = [
            torch.einsum("bnc,bthwc->bnthw", F.normalize(query, dim=-1), level.table)
            for query, level in zip(queries, maps, strict=True)
        ]
        stacked = torch.stack(cosines, dim=3)
        batch, points, frames = stacked.shape[:3]
        flat = stacked.flatten(0, 2)
        hidden = F.gelu(self.conv1(10 * flat))
        weighted = (flat * self.temperature[:, None, None]).sum(1)
        logits = weighted + self.conv2(hidden)[:, 0]
        pooled = torch.cat(
            [hidden.amax((2, 3)), hidden.mean((2, 3)), logits.amax((1, 2))[:, None]], 1
        )
        judged = self.judge(pooled)
        xy = self.soft_argmax(logits, size)
        shape = (batch, points, frames)
        return xy.unflatten(0, shape), judged.unflatten(0, shape), logits.unflatten(0, shape)

    def soft_argmax(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Mean position near the peak of maps `(M, h, w)`, as `(M, 2)` fine pixels."""
        height, width = logits.shape[-2:]
        peak = logits.flatten(1).argmax(1)
        x = torch.arange(width, device=logits.device)
        y = torch.arange(height, device=logits.device)
        near_x = (x - (peak % width)[:, None]).abs() <= self.radius
        near_y = (y - (peak // width)[:, None]).abs() <= self.radius
        near = near_y[:, :, None] & near_x[:, None, :]
        weights = logits.masked_fill(~near, float("-inf")).flatten(1).softmax(1)
        weights = weights.view_as(logits)
        cell_x = (weights.sum(1) * (x + 0.5)).sum(1) * size[0] / width
        cell_y = (weights.sum(2) * (y + 0.5)).sum(1) * size[1] / height
        return torch.stack([cell_x, cell_y], dim=1)
