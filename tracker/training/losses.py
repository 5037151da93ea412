"""What the head is trained to do."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tracker.errors import UserError
from tracker.head import HeadOutput
from tracker.head.correlation import Level, correlate_frames, sample_query_patches
from tracker.training.batches import query_positions

NEAR_FRAME = 0.25
"""How far outside the frame positions are still asked for, in its sides."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the parts.

    Attributes:
        decay: an iteration k of K counts `decay ** (K - k)`.
        huber_pixels: errors beyond this count linearly, in pixels of a 256-wide frame.
        certain_pixels: errors beyond this are to be called uncertain, in the same pixels.
        position: weight of the distance from the truth.
        hidden: share of that weight for frames in which the point is hidden, or out of the frame by
            less than a quarter of its sides.
        visibility: weight of being visible or not.
        certainty: weight of being certain or not.
        coarse: weight of the coarse match.
        matching: weight of matching whole frames by each level of features alone.
        temperature: of the cosines in the matching loss.
        followed: points of each clip that are tracked; the others, which cost little, only train
            the features by the matching loss. None tracks them all.
    """

    decay: float = 0.8
    huber_pixels: float = 4.0
    certain_pixels: float = 6.0
    position: float = 0.25
    hidden: float = 0.0
    visibility: float = 1.0
    certainty: float = 0.5
    coarse: float = 0.5
    matching: float = 0.1
    temperature: float = 20.0
    followed: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.decay <= 1:
            raise UserError(f"loss.decay={self.decay} must be more than 0, at most 1")
        for name in ("huber_pixels", "certain_pixels", "temperature"):
            if not getattr(self, name) > 0:
                raise UserError(f"loss.{name}={getattr(self, name)} must be more than 0")
        for name in ("position", "hidden", "visibility", "certainty", "coarse", "matching"):
            if not getattr(self, name) >= 0:
                raise UserError(f"loss.{name}={getattr(self, name)} must be 0 or more")
        if self.followed is not None and self.followed < 1:
            raise UserError(f"loss.followed={self.followed} must be 1 or more, or null for all")


def tracking_loss(
    output: HeadOutput,
    xy: Tensor,
    visible: Tensor,
    evaluated: Tensor,
    size: tuple[int, int],
    config: LossConfig,
) -> dict[str, Tensor]:
    """Compare tracks with the truth.

    Args:
        output: of the head.
        xy: `(B, N, T, 2)` true fine pixels.
        visible: `(B, N, T) bool`.
        evaluated: `(B, N, T) bool`, frames that count (all but the query's own).
        size: `(W, H)` of the fine image.
        config: weights and thresholds.

    Returns:
        `loss` and its parts `position`, `visibility`, `certainty`, `coarse`, all scalars; without
        `coarse` where it has no weight or the head made no coarse match.
    """
    # Thresholds are for a frame of 256 pixels, whatever size the fine image has.
    raster = 256 / xy.new_tensor(size)
    counted = visible & evaluated
    beyond = (xy / xy.new_tensor(size) - 0.5).abs().amax(-1)
    unseen = ~visible & evaluated & (beyond < 0.5 + NEAR_FRAME)
    steps = len(output.xy)
    weights = [config.decay ** (steps - 1 - k) for k in range(steps)]
    parts = {name: xy.new_zeros(()) for name in ("position", "visibility", "certainty")}
    for weight, guess, visibility_logits in zip(
        weights, output.xy, output.visibility_logits, strict=True
    ):
        distance = ((guess - xy) * raster).norm(dim=-1)
        huber = F.huber_loss(
            distance, torch.zeros_like(distance), reduction="none", delta=config.huber_pixels
        )
        far = (distance.detach() > config.certain_pixels).to(xy.dtype)
        shown, uncertain = visibility_logits.unbind(-1)
        says_visible = F.binary_cross_entropy_with_logits(
            shown, visible.to(xy.dtype), reduction="none"
        )
        says_uncertain = F.binary_cross_entropy_with_logits(uncertain, far, reduction="none")
        share = weight / sum(weights)
        parts["position"] += share * _mean(huber, counted)
        if config.hidden:
            parts["position"] += share * config.hidden * _mean(huber, unseen)
        parts["visibility"] += share * _mean(says_visible, evaluated)
        parts["certainty"] += share * _mean(says_uncertain, counted)
    if config.coarse and output.coarse_logits is not None:
        parts["coarse"] = coarse_loss(output.coarse_logits, xy, counted, size)
    total = sum(getattr(config, name) * value for name, value in parts.items())
    return {"loss": total, **parts}


def coarse_loss(logits: Tensor, xy: Tensor, counted: Tensor, size: tuple[int, int]) -> Tensor:
    """Cross-entropy of the coarse map `(B, N, T, h, w)` with the true place.

    The target is spread over the four cells round the place as bilinear interpolation would, so
    that the soft-argmax learns where between cells the point lies.

    Args:
        logits: `(B, N, T, h, w)`.
        xy: `(B, N, T, 2)` true fine pixels.
        counted: `(B, N, T) bool`, where the point is visible and counts.
        size: `(W, H)` of the fine image.
    """
    height, width = logits.shape[-2:]
    limit = xy.new_tensor([width - 1, height - 1])
    # A position that is not finite must reach the loss, not break the search for its cell.
    finite = torch.nan_to_num(xy)
    place = (finite * xy.new_tensor([width / size[0], height / size[1]]) - 0.5).clamp(min=0)
    place = torch.minimum(place, limit)
    corner = torch.minimum(place.floor(), (limit - 1).clamp(min=0))
    fraction = place - corner
    log_likelihood = logits.flatten(3).float().log_softmax(-1)
    # All four cells are read at once: backward fills a whole gradient of the map for each.
    step = torch.tensor([0, 1], device=xy.device)
    column, row = torch.minimum(corner[..., None] + step, limit[:, None]).unbind(-2)
    cells = (row[..., :, None] * width + column[..., None, :]).long().flatten(-2)
    weight_x, weight_y = torch.stack([1 - fraction, fraction], dim=-1).unbind(-2)
    weights = (weight_y[..., :, None] * weight_x[..., None, :]).flatten(-2)
    loss = -(weights * log_likelihood.gather(-1, cells)).sum(-1)
    return _mean(loss, counted)


def matching_loss(
    levels: list[Level],
    query_frame: Tensor,
    xy: Tensor,
    counted: Tensor,
    size: tuple[int, int],
    temperature: float,
) -> Tensor:
    """Cross-entropy of each level's own match of the queries in whole frames, mean over levels.

    Refinement teaches features only by way of small patches round places that are good already;
    this teaches every level at every place, for a fraction of the work.

    Args:
        levels: features of unit length.
        query_frame: `(B, N)`.
        xy: `(B, N, T, 2)` true fine pixels.
        counted: `(B, N, T) bool`, where to match.
        size: `(W, H)` of the fine image.
        temperature: that cosines are multiplied by.
    """
    start = query_positions(xy, query_frame)
    losses = []
    for level in levels:
        query = sample_query_patches(level, start, query_frame, 0)[:, :, 0]
        logits = correlate_frames(temperature * F.normalize(query, dim=-1), level)
        losses.append(coarse_loss(logits, xy, counted, size))
    return torch.stack(losses).mean()


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1)
