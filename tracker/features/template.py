"""The positional template: what a frozen V-JEPA 2 feature says about *where*, to be subtracted.

The template is the mean feature at each place (layer, slot in the window, patch) over many diverse
clips. What remains after subtraction, the content residual, says *what* is there. A template
belongs to one backbone, layer set, input size, window and frame mode; using it with another is an
error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tracker.errors import UserError
from tracker.features.backbone import FeatureVolume, FrozenBackbone
from tracker.files import save_tensors


@dataclass(frozen=True)
class TemplateReport:
    """How trustworthy a template is.

    Attributes:
        clips: how many clips it averages.
        split_half_cosine: per layer, the cosine between the centred templates of two halves of the
            clips; 1 is converged.
        positional_share: per layer, the share of the features' variance that position explains.
    """

    clips: int
    split_half_cosine: list[float]
    positional_share: list[float]


@dataclass(frozen=True)
class PositionalTemplate:
    """Mean features by place.

    Attributes:
        mean: `(L, P, C, h, w)`, P the slots of a window.
        std: `(L, C)` standard deviation of the residual, per channel.
        identity: `FrozenBackbone.identity()` of the backbone it was fitted with.
        fingerprint: of that backbone's weights.
        report: how far it has converged.
    """

    mean: Tensor
    std: Tensor
    identity: dict[str, Any]
    fingerprint: str
    report: TemplateReport

    def check(self, backbone: FrozenBackbone) -> None:
        """Fail unless the template was fitted with this backbone, as it is configured.

        Raises:
            UserError: names the first setting that differs.
        """
        for key, wanted in backbone.identity().items():
            if self.identity.get(key) != wanted:
                raise UserError(
                    f"template was fitted with {key}={self.identity.get(key)}, but the backbone "
                    f"has {key}={wanted}; fit one with vjepa-tracker fit-template"
                )
        if self.fingerprint != backbone.fingerprint():
            raise UserError(
                f"template belongs to a backbone with weights {self.fingerprint}, but "
                f"{backbone.config.source} has {backbone.fingerprint()}; fit one with "
                "vjepa-tracker fit-template"
            )

    def subtract(self, volume: FeatureVolume) -> Tensor:
        """Return content residuals `(B, L, S, C, h, w)` in units of their standard deviation."""
        features = volume.features
        mean = self.mean.to(features)[:, volume.phase]
        return (features - mean) / self.std.to(features)[:, None, :, None, None]

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file that carries its identity."""
        metadata = {
            "identity": json.dumps(self.identity, sort_keys=True),
            "fingerprint": self.fingerprint,
            "report": json.dumps(vars(self.report)),
        }
        tensors = {"mean": self.mean.half().contiguous(), "std": self.std.float().contiguous()}
        save_tensors(tensors, path, metadata)

    @classmethod
    def load(cls, path: str | Path) -> PositionalTemplate:
        """Read what `save` wrote.

        Raises:
            UserError: missing, damaged, or another kind of file.
        """
        from safetensors import SafetensorError, safe_open

        if not Path(path).is_file():
            raise UserError(f"template {path} does not exist; fit one with vjepa-tracker fit-template")
        try:
            with safe_open(str(path), framework="pt") as file:
                metadata = file.metadata() or {}
                return cls(
                    file.get_tensor("mean").float(),
                    file.get_tensor("std"),
                    json.loads(metadata["identity"]),
                    metadata["fingerprint"],
                    TemplateReport(**json.loads(metadata["report"])),
                )
        except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
            raise UserError(f"{path} is not a template file ({error}); fit it again") from error
