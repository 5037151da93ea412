"""What pretraining a backbone consists of, for the training loop that all runs share."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from tracker.pretraining.backbone_task import BackboneTask
from tracker.pretraining.jepa.batches import JepaBatch
from tracker.pretraining.jepa.masks import Masks
from tracker.pretraining.jepa.model import JepaModel
from tracker.pretraining.matching import MatchingScores, MatchingYardstick
from tracker.video.pixels import normalise

if TYPE_CHECKING:
    from transformers import VJEPA2Model


class JepaTask(BackboneTask):
    """Trains a backbone; its target encoder is what is measured and saved.

    Args:
        model: on the device that trains.
        yardstick: held-out clips.
        clip: `(frames, (height, width))` that features are measured at.
        layers: whose features are measured, the last one last.
        save_dtype: of the weights that users load.
    """

    def __init__(
        self,
        model: JepaModel,
        yardstick: MatchingYardstick,
        clip: tuple[int, tuple[int, int]],
        layers: Sequence[int],
        save_dtype: Literal["float16", "float32"] = "float16",
    ) -> None:
        super().__init__(model, model.target, yardstick, clip, layers, save_dtype)
        self.model = model

    def inputs(self, batch: JepaBatch) -> tuple[Tensor, tuple[Masks, ...]]:
        """Return normalised frames `(B, T, 3, H, W)` and masks; count what could not be read."""
        self.unreadable.update(batch.unreadable)
        return normalise(batch.video), batch.masks

    def after_step(self, progress: float) -> None:
        """Let the target encoder follow the one that trains."""
        self.model.update_target(progress)

    def signs(self, scores: MatchingScores) -> dict[str, float]:
        """Return signs of collapse, and each layer's matching after subtraction."""
        collapse = {
            "feature_std": scores.feature_std,
            "effective_rank": scores.effective_rank,
            "residual_rank": scores.residual_rank,
            "positional_share": scores.positional_share,
        }
        by_layer = zip(self._settings.layers, scores.everywhere.template, strict=True)
        return collapse | {f"pck_template_{layer}": value for layer, value in by_layer}

    def snapshot(self) -> VJEPA2Model:
        """Return a copy of the model with the target encoder's weights as its encoder's."""
        model = copy.deepcopy(self.model.online)
        model.encoder.load_state_dict(self.model.target.state_dict())
        return model
