"""Batches of crops by number: the first number chooses size and length for all of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Generator, Tensor

from tracker.pretraining.distill.config import CropConfig
from tracker.pretraining.distill.crops import CropDrawer, below
from tracker.pretraining.jepa.masks import MaskConfig, Masks, draw_masks

BATCH_SEEDS = 2**31
"""What is drawn for a whole batch has seeds that no crop has."""


@dataclass(frozen=True)
class DistillBatch:
    """A batch of B clips of N tokens.

    Attributes:
        video: `(B, T, 3, H, W) float32` in 0..1.
        targets: `(B, N, C)` the teacher's features, tokens in the encoder's order.
        weights: `(B, N)` how much each token counts.
        masks: one entry for each kind; none where every token is seen.
    """

    video: Tensor
    targets: Tensor
    weights: Tensor
    masks: tuple[Masks, ...] = ()

    def to(self, device: torch.device) -> DistillBatch:
        """Return the batch on a device."""
        return DistillBatch(
            self.video.to(device, non_blocking=True),
            self.targets.to(device, non_blocking=True),
            self.weights.to(device, non_blocking=True),
            tuple(m.to(device) for m in self.masks),
        )


class DistillBatches:
    """Batches of crops.

    Args:
        crops: where they come from.
        config: sizes and lengths of crops, and how many tokens a batch has.
        kinds: the masks to draw; none for objective `distill`.
        patch: side of a token in pixels.
    """

    def __init__(
        self, crops: CropDrawer, config: CropConfig, kinds: Sequence[MaskConfig], patch: int
    ) -> None:
        self._crops, self._config, self._kinds, self._patch = crops, config, kinds, patch

    def batch(self, numbers: list[int]) -> DistillBatch:
        """Return a batch of as many of these crops as have `config.tokens` tokens, or of all.

        Raises:
            UserError: masks leave no context, or a file of the cache was damaged in use.
        """
        random = Generator().manual_seed(BATCH_SEEDS + numbers[0])
        size = self._config.sizes[below(len(self._config.sizes), random)]
        slots = self._config.slots[below(len(self._config.slots), random)]
        side = size // self._patch
        count = max(1, min(len(numbers), self._config.tokens // (slots * side * side)))
        crops = [self._crops.draw(size, slots, Generator().manual_seed(n)) for n in numbers[:count]]
        grid = (slots, side, side)
        return DistillBatch(
            torch.stack([c.video for c in crops]),
            rearrange([c.targets for c in crops], "b s c h w -> b (s h w) c"),
            rearrange([c.weights for c in crops], "b s h w -> b (s h w)"),
            tuple(draw_masks(kind, grid, count, random) for kind in self._kinds),
        )
