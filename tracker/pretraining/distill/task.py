"""What distilling a backbone consists of, for the training loop that all runs share."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from torch import Tensor

from tracker.pretraining.backbone_task import BackboneTask
from tracker.pretraining.distill.batches import DistillBatch
from tracker.pretraining.distill.model import DistillModel
from tracker.pretraining.jepa.masks import Masks
from tracker.pretraining.matching import MatchingScores, MatchingYardstick
from tracker.video.pixels import normalise

if TYPE_CHECKING:
    from transformers import VJEPA2Model


class DistillTask(BackboneTask):
    """Trains a student; the average of its weights is what is measured and saved.

    Args:
        model: on the device that trains.
        yardstick: held-out clips.
        clip: `(frames, (height, width))` that features are measured at.
        layers: whose features are measured, the last one last.
        save_dtype: of the weights that users load.

    Attributes:
        pictures: tubelets seen since this process began to train.
        seconds: since then, but for validation.
    """

    def __init__(
        self,
        model: DistillModel,
        yardstick: MatchingYardstick,
        clip: tuple[int, tuple[int, int]],
        layers: Sequence[int],
        save_dtype: Literal["float16", "float32"] = "float16",
    ) -> None:
        super().__init__(model, model.student, yardstick, clip, layers, save_dtype)
        self.model = model
        self.pictures, self.seconds = 0, 0.0
        self._started: float | None = None

    def inputs(self, batch: DistillBatch) -> tuple[Tensor, Tensor, Tensor, tuple[Masks, ...]]:
        """Return normalised frames, targets, weights and masks; count the pictures."""
        self._started = self._started or time.perf_counter()
        slots = batch.video.shape[1] // self.model.student.config.tubelet_size
        self.pictures += batch.video.shape[0] * slots
        return normalise(batch.video), batch.targets, batch.weights, batch.masks

    def after_step(self, progress: float) -> None:
        """Keep the time."""
        now = time.perf_counter()
        self.seconds += now - (self._started or now)
        self._started = now

    def validate(self, picture: bool) -> tuple[dict[str, float], np.ndarray | None]:
        """Return frozen matching and `signs`; the time that this takes is not training's."""
        scores = super().validate(picture)
        self._started = None
        return scores

    def signs(self, scores: MatchingScores) -> dict[str, float]:
        """Return signs of collapse, and how fast training goes."""
        return {
            "feature_std": scores.feature_std,
            "effective_rank": scores.effective_rank,
            "positional_share": scores.positional_share,
            "pictures_per_second": self.pictures / max(self.seconds, 1e-9),
        }

    def snapshot(self) -> VJEPA2Model:
        """Return a copy of the student."""
        return copy.deepcopy(self.model.student)
