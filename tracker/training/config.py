"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tracker.devices import bf16_pays, check_device
from tracker.errors import UserError


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes:
        max_steps: optimiser steps in all.
        max_minutes: wall-clock limit over all starts of the run; None for none. The learning
            rate follows whichever of the two limits is nearer.
        batch_size: clips a step and process.
        learning_rate: at its peak.
        optimizer: `adamw`, or `muon` for the matrices between hidden layers, AdamW for the rest.
        matrix_rate: Muon's learning rate at its peak.
        warmup: share of the run until the peak.
        weight_decay: of either optimiser.
        beta2: memory of AdamW's second moments.
        clip_norm: the largest norm of the gradient.
        ema: decay of the averaged weights, which are validated and saved; 0 takes the latest, for
            tasks that keep an average of their own.
        precision: `no`, `bf16` or `fp16` (accelerate's mixed precision); `auto` is bf16 where it
            is faster, as torch says of the device.
        workers: processes that make batches ahead of time; 0 makes them in line.
        seed: of weights and data.
        validate_every: steps from one validation to the next.
        checkpoint_every: steps from one checkpoint to the next.
        picture_every: steps from one picture to the next.
    """

    max_steps: int = 100_000
    max_minutes: float | None = None
    batch_size: int = 1
    learning_rate: float = 5e-4
    optimizer: Literal["adamw", "muon"] = "adamw"
    matrix_rate: float = 0.02
    warmup: float = 0.05
    weight_decay: float = 1e-4
    beta2: float = 0.999
    clip_norm: float = 1.0
    ema: float = 0.999
    precision: str = "no"
    workers: int = 1
    seed: int = 0
    validate_every: int = 1000
    checkpoint_every: int = 200
    picture_every: int = 5000

    def __post_init__(self) -> None:
        for name in ("max_steps", "batch_size", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UserError(f"training.{name}={getattr(self, name)} must be 1 or more")
        if self.precision not in ("no", "bf16", "fp16", "auto"):
            raise UserError(f"training.precision={self.precision} must be no, bf16, fp16 or auto")
        if self.workers < 0 or self.picture_every < 1:
            raise UserError("training.workers must be 0 or more, picture_every 1 or more")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise UserError(
                f"training.max_minutes={self.max_minutes} must be more than 0, or null for no limit"
            )
        if self.optimizer not in ("adamw", "muon"):
            raise UserError(f"training.optimizer={self.optimizer} must be adamw or muon")
        for name in ("learning_rate", "matrix_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise UserError(f"training.{name}={getattr(self, name)} must be more than 0")
        if not self.weight_decay >= 0:
            raise UserError(f"training.weight_decay={self.weight_decay} must be 0 or more")
        for name in ("warmup", "ema", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"training.{name}={getattr(self, name)} must be 0 or more, below 1")

    def mixed_precision(self) -> str:
        """Return `no`, `bf16` or `fp16`, as accelerate takes it."""
        if self.precision != "auto":
            return self.precision
        return "bf16" if bf16_pays(check_device("auto")) else "no"
