"""What all ways to train a backbone share: how it is measured while it trains, and saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import nn

from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.features.checkpoints import write_checkpoint
from tracker.pretraining.matching import MatchingScores, MatchingYardstick, baselines, headline

if TYPE_CHECKING:
    from transformers import VJEPA2Model


class BackboneTask(ABC):
    """A backbone that trains; what `snapshot` returns is what is measured and saved.

    Args:
        model: whose `forward` gives the losses, on the device that trains.
        averaged: the part of it whose running average is measured and saved.
        yardstick: held-out clips.
        clip: `(frames, (height, width))` that features are measured at.
        layers: whose features are measured, the last one last.
        save_dtype: of the weights that users load.

    Attributes:
        baselines: matching of what the backbone has to beat; empty before the first validation.
        unreadable: how many clips were replaced, by the reason why they could not be read.
    """

    # Not all points: where little moves, features that know nothing but their place do best.
    best_metric = "moved_layers"

    def __init__(
        self,
        model: nn.Module,
        averaged: nn.Module,
        yardstick: MatchingYardstick,
        clip: tuple[int, tuple[int, int]],
        layers: Sequence[int],
        save_dtype: Literal["float16", "float32"] = "float16",
    ) -> None:
        self.averaged = averaged
        self.baselines: dict[str, float] = {}
        self.unreadable: Counter[str] = Counter()
        self._device = next(model.parameters()).device
        self._yardstick, self._dtype = yardstick, getattr(torch, save_dtype)
        self._settings = BackboneConfig(
            "the trained model", tuple(layers), clip[1], clip[0], dtype="float32"
        )

    @abstractmethod
    def snapshot(self) -> VJEPA2Model:
        """Return a copy of the backbone as it is now."""

    @abstractmethod
    def signs(self, scores: MatchingScores) -> dict[str, float]:
        """Return what a validation tells beside matching, such as signs of collapse."""

    def validate(self, picture: bool) -> tuple[dict[str, float], np.ndarray | None]:
        """Return frozen matching and `signs`, beside the baselines' matching; never a picture."""
        backbone = FrozenBackbone(self._settings, self.snapshot())
        self.baselines = self.baselines or baselines(self._yardstick, backbone, self._device)
        scores = self._yardstick.measure(backbone, self._device)
        return headline(scores) | self.signs(scores) | self.baselines, None

    def save(self, folder: Path) -> None:
        """Write a transformers folder, whose config says float32.

        So half-precision files load into arithmetic that every CPU has.

        Raises:
            UserError: the folder cannot be written.
        """
        model = self.snapshot().to(self._dtype)
        model.config.dtype = torch.float32
        write_checkpoint(model, folder)
