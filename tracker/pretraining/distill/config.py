"""Settings of distillation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tracker.errors import UserError

Loss = Literal["smooth_l1", "mse", "cosine"]


@dataclass(frozen=True)
class CropConfig:
    """What the backbone sees of views.

    Attributes:
        sizes: sides of its square crops in pixels, one drawn for each batch.
        slots: lengths of its clips in tubelets, one drawn for each batch.
        tokens: of a batch: larger or longer crops come in smaller batches.
        videos: share of crops that are cut from videos, where there are any.
        motion: standard deviation of the way that a crop of a photograph moves between frames,
            as a share of its side.
        colour: strength of changes of brightness, contrast, saturation and tint.
        noise: largest standard deviation of noise, of full scale.
        covers: probability that a part of another photograph moves over a crop of a photograph.
    """

    sizes: tuple[int, ...] = (128, 160, 192, 224, 256)
    slots: tuple[int, ...] = (1, 1, 1, 1, 2, 4)
    tokens: int = 1600
    videos: float = 0.2
    motion: float = 0.0
    colour: float = 0.2
    noise: float = 0.02
    covers: float = 0.0

    def __post_init__(self) -> None:
        for name in ("sizes", "slots"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            if not getattr(self, name) or min(getattr(self, name)) < 1:
                raise UserError(f"crops.{name}={list(getattr(self, name))}: give numbers above 0")
        if self.tokens < 1:
            raise UserError(f"crops.tokens={self.tokens} must be 1 or more")
        for name in ("videos", "covers"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"crops.{name}={getattr(self, name)} must be a share in 0..1")
        for name in ("motion", "colour", "noise"):
            if getattr(self, name) < 0:
                raise UserError(f"crops.{name}={getattr(self, name)} must not be negative")


@dataclass(frozen=True)
class DistillConfig:
    """The objective.

    Attributes:
        loss: between predicted and true features, both standardised by channel.
        deep_layers: layers below the last, counted from 1, that predict the same features.
        masked_weight: of the loss at hidden places, where masking is on.
    """

    loss: Loss = "smooth_l1"
    deep_layers: tuple[int, ...] = ()
    masked_weight: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "deep_layers", tuple(sorted(self.deep_layers)))
        if self.loss not in ("smooth_l1", "mse", "cosine"):
            raise UserError(f"distill.loss={self.loss!r}: use smooth_l1, mse or cosine")
        if not self.masked_weight > 0:
            raise UserError(f"distill.masked_weight={self.masked_weight} must be more than 0")
