"""One step of refinement: look round the current positions, think along time, move.

Beside small moves of its own, a step may go over to a *candidate*: the coarse match, which finds a
point again wherever it is, or optical flow, which is precise as long as it holds. Where flow holds,
refinement starts from it, so it is shown the surroundings of the coarse match as well: which of the
two is right shows in the pictures, not in how sure each is of itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from tracker.head.config import HeadConfig
from tracker.head.correlation import Level, local_correlation
from tracker.head.projection import relative_bias

STEP_PIXELS = 4.0
"""Fine pixels that one unit of the predicted update stands for."""

FREQUENCIES = 6
CANDIDATE_FEATURES = 5
"""Width of what a step is told of each candidate."""

RELUCTANCE = 3.0
"""How much likelier a step stays than goes over to a candidate, before training, as a logit."""


@dataclass(frozen=True)
class Candidates:
    """Places that K other ways of matching propose.

    Attributes:
        xy: `(B, N, T, K, 2)` fine pixels.
        certainty: `(B, N, T, K)` in 0..1; 0 where there is no proposal.
    """

    xy: Tensor
    certainty: Tensor

    def describe(self, xy: Tensor) -> Tensor:
        """Describe the way from `(B, N, T, 2)`, as `(B, N, T, CANDIDATE_FEATURES * K)`."""
        way = self.way_from(xy)
        near, far = (way / 2).clamp(-2, 2), (way / 16).clamp(-2, 2)
        return torch.cat([near, far, self.certainty[..., None]], dim=-1).flatten(-2)

    def way_from(self, xy: Tensor) -> Tensor:
        """Return the way from positions `(B, N, T, 2)` to each, 0 where there is none."""
        return (self.xy - xy[..., None, :]) * (self.certainty > 0)[..., None]

    def attract(self, xy: Tensor, logits: Tensor) -> Tensor:
        """Move positions `(B, N, T, 2)` towards the candidates, by logits `(B, N, T, K)`."""
        logits = (logits - RELUCTANCE).masked_fill(self.certainty <= 0, float("-inf"))
        share = torch.cat([torch.zeros_like(logits[..., :1]), logits], dim=-1).softmax(-1)[..., 1:]
        return xy + (share[..., None] * self.way_from(xy)).sum(-2)


class TemporalBlock(nn.Module):
    """Self-attention over a point's frames with a bias by time difference, then an MLP."""

    def __init__(self, width: int, heads: int, reach: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(heads, 2 * reach + 1))
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(M, T, D)` to the same shape."""
        query, key, value = rearrange(
            self.qkv(self.norm1(x)), "m t (three a d) -> three m a t d", three=3, a=self.heads
        )
        bias = relative_bias(self.bias, x.shape[1]).to(query.dtype)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x + self.out(rearrange(mixed, "m a t d -> m t (a d)"))
        return x + self.mlp(self.norm2(x))


class RefinementStep(nn.Module):
    """Predicts updates of position, visibility and uncertainty; shared by all iterations.

    Args:
        config: of the head.
        levels: how many levels are correlated.
        candidates: how many places are proposed.
    """

    def __init__(self, config: HeadConfig, levels: int, candidates: int) -> None:
        super().__init__()
        self.radius = config.target_radius
        cells = (2 * config.target_radius + 1) ** 2 * (2 * config.query_radius + 1) ** 2
        width, channels = config.width, config.correlation_channels
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(cells, channels), nn.GELU(), nn.Linear(channels, channels))
            for _ in range(levels)
        )
        self.embed = nn.Linear(
            2 * levels * channels + state_features() + CANDIDATE_FEATURES * candidates, width
        )
        self.blocks = nn.ModuleList(
            TemporalBlock(width, config.heads, config.reach) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width)
        self.update = nn.Linear(width, 4 + candidates)
        nn.init.normal_(self.update.weight, std=0.01)
        nn.init.zeros_(self.update.bias)

    def correlate(self, levels: list[Level], queries: list[Tensor], xy: Tensor) -> Tensor:
        """Compare queries with what lies round positions, on all levels.

        Args:
            levels: features.
            queries: the queries' patches `(B, N, P, C)`, for each level.
            xy: `(B, N, T, 2)` fine pixels.

        Returns:
            `(B, N, T, levels * correlation_channels)`.
        """
        encoded = [
            encode(local_correlation(level, query, xy, self.radius))
            for encode, level, query in zip(self.encoders, levels, queries, strict=True)
        ]
        return torch.cat(encoded, dim=-1)

    def forward(
        self,
        levels: list[Level],
        queries: list[Tensor],
        xy: Tensor,
        visibility_logits: Tensor,
        at_match: Tensor,
        candidates: Candidates,
        time_to_query: Tensor,
        size: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """Make one step.

        Args:
            levels: features.
            queries: the queries' patches `(B, N, P, C)`, for each level.
            xy: `(B, N, T, 2)` current positions in fine pixels.
            visibility_logits: `(B, N, T, 2)` current logits of visibility and of being uncertain.
            at_match: `(B, N, T, levels * correlation_channels)`, what `correlate` sees at the
                coarse match.
            candidates: places that may be gone over to.
            time_to_query: `(B, N, T)` frames since the query's frame.
            size: `(W, H)` of the fine image.

        Returns:
            New positions and logits, of the same shapes.
        """
        here = self.correlate(levels, queries, xy)
        state = describe_state(xy, visibility_logits, time_to_query, size)
        known = torch.cat([state, candidates.describe(xy)], dim=-1).to(here.dtype)
        tokens = self.embed(torch.cat([here, at_match, known], dim=-1))
        flat = tokens.flatten(0, 1)
        for block in self.blocks:
            flat = block(flat)
        change = self.update(self.norm(flat)).unflatten(0, xy.shape[:2]).float()
        move, verdict, pull = change.split([2, 2, change.shape[-1] - 4], dim=-1)
        return candidates.attract(xy, pull) + STEP_PIXELS * move, visibility_logits + verdict


def state_features() -> int:
    """Width of `describe_state`."""
    return 2 * 2 * (2 * FREQUENCIES + 1) + 2 + 4 + 2


def describe_state(
    xy: Tensor, visibility_logits: Tensor, time_to_query: Tensor, size: tuple[int, int]
) -> Tensor:
    """Describe each frame's state: motion from and to its neighbours, logits, borders, time.

    Positions enter only as differences and as distances to the frame's borders, so that nothing
    is tied to a place. Returns `(B, N, T, state_features())`.
    """
    step = xy[:, :, 1:] - xy[:, :, :-1]
    before = F.pad(step, (0, 0, 1, 0))
    after = F.pad(step, (0, 0, 0, 1))
    motion = torch.cat([before, after], dim=-1) / 64
    octaves = math.pi * 2.0 ** torch.arange(FREQUENCIES, device=xy.device)
    angles = (motion.clamp(-1, 1)[..., None] * octaves).flatten(-2)
    borders = torch.cat([xy, xy.new_tensor(size) - xy], dim=-1) / 16
    time = time_to_query[..., None] / 16.0
    return torch.cat(
        [
            motion.clamp(-4, 4),
            angles.sin(),
            angles.cos(),
            visibility_logits.clamp(-8, 8) / 4,
            borders.clamp(-2, 2),
            time.clamp(-4, 4),
            (time_to_query == 0)[..., None].to(xy.dtype),
        ],
        dim=-1,
    )
