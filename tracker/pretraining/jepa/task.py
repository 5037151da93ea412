"""What pretraining a backbone consists of, for the training loop that all runs share."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.pretraining.jepa.batches import JepaBatch
from tracker.pretraining.jepa.masks import Masks
from tracker.pretraining.jepa.model import JepaModel
from tracker.pretraining.matching import MatchingYardstick, baselines, headline
from tracker.video.pixels import normalise

if TYPE_CHECKING:
    from transformers import VJEPA2Model


class JepaTask:
    """Trains a backbone; its target encoder is what is measured and saved.

    Args:
        model: on the device that trains.
        yardstick: held-out clips.
        clip: `(frames, (height, width))` that features are measured at.
        layers: whose features are measured, the last one last.
        save_dtype: of the weights that users load.
    """

    # Not all points: where little moves, features that know nothing but their place do best.
    best_metric = "moved_layers"

    def __init__(
        self,
        model: JepaModel,
        yardstick: MatchingYardstick,
        clip: tuple[int, tuple[int, int]],
        layers: Sequence[int],
        save_dtype: Literal["float16", "float32"] = "float16",
    ) -> None:
        self.model = model
        self.averaged = model.target
        self.unreadable: Counter[str] = Counter()
        self._yardstick, self._dtype = yardstick, getattr(torch, save_dtype)
        self._settings = BackboneConfig(
            "the trained model", tuple(layers), clip[1], clip[0], dtype="float32"
        )
        self.baselines: dict[str, float] = {}

    def inputs(self, batch: JepaBatch) -> tuple[Tensor, tuple[Masks, ...]]:
        """Return normalised frames `(B, T, 3, H, W)` and masks; count what could not be read."""
        self.unreadable.update(batch.unreadable)
        return normalise(batch.video), batch.masks

    def after_step(self, progress: float) -> None:
        """Let the target encoder follow the one that trains."""
        self.model.update_target(progress)

    def validate(self, picture: bool) -> tuple[dict[str, float], np.ndarray | None]:
        """Return frozen matching and signs of collapse, beside the baselines' matching."""
        device = next(self.model.parameters()).device
        backbone = FrozenBackbone(self._settings, self.snapshot())
        self.baselines = self.baselines or baselines(self._yardstick, backbone, device)
        scores = self._yardstick.measure(backbone, device)
        by_layer = {
            f"pck_template_{layer}": value
            for layer, value in zip(self._settings.layers, scores.everywhere.template, strict=True)
        }
        signs = {
            "feature_std": scores.feature_std,
            "effective_rank": scores.effective_rank,
            "residual_rank": scores.residual_rank,
            "positional_share": scores.positional_share,
        }
        return headline(scores) | signs | by_layer | self.baselines, None

    def snapshot(self) -> VJEPA2Model:
        """Return a copy of the model with the target encoder's weights as its encoder's."""
        model = copy.deepcopy(self.model.online)
        model.encoder.load_state_dict(self.model.target.state_dict())
        return model

    def save(self, folder: Path) -> None:
        """Write transformers' `config.json` and `model.safetensors`.

        The config says float32, so that half-precision files load into arithmetic that every CPU
        has.
        """
        model = self.snapshot().to(self._dtype)
        model.save_pretrained(folder)
        config = copy.deepcopy(model.config)
        config.dtype = torch.float32
        config.save_pretrained(folder)
