"""The positional template: what a frozen V-JEPA 2 feature says about *where*, to be subtracted.

The template is the mean feature at each place (layer, slot in the window, patch) over many diverse
clips. What remains after subtraction, the content residual, says *what* is there. A template
belongs to one backbone, layer set, input size, window and frame mode; using it with another is an
error.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tracker.errors import UserError
from tracker.features.backbone import FeatureVolume, FrozenBackbone
from tracker.features.checkpoints import checkpoint_path
from tracker.files import save_tensors

BESIDE_WEIGHTS = "template.safetensors"
"""The file in a backbone's folder that holds its template."""


@dataclass(frozen=True)
class TemplateReport:
    """How trustworthy a template is.

    Attributes:
        clips: how many clips it averages.
        split_half_cosine: per layer, the cosine between the centred templates of two halves of the
            clips; 1 is converged.
        positional_share: per layer, the share of the features' variance that position explains, as
            `PlaceMoments.positional_share` has it.
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
        backbone_fingerprint: of that backbone's weights.
        report: how far it has converged.
    """

    mean: Tensor
    std: Tensor
    identity: dict[str, Any]
    backbone_fingerprint: str
    report: TemplateReport
    _placed: dict[torch.device, tuple[Tensor, Tensor]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

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
        if self.backbone_fingerprint != backbone.fingerprint():
            raise UserError(
                f"template belongs to a backbone with weights {self.backbone_fingerprint}, but "
                f"{backbone.config.source} has {backbone.fingerprint()}; fit one with "
                "vjepa-tracker fit-template"
            )

    def fingerprint(self) -> str:
        """Hash of the template itself, the same before and after it is saved."""
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode())
        digest.update(self.backbone_fingerprint.encode())
        digest.update(self.mean.half().numpy().tobytes() + self.std.numpy().tobytes())
        return digest.hexdigest()[:16]

    def subtract(self, volume: FeatureVolume) -> Tensor:
        """Return content residuals, see `content_residuals`."""
        return content_residuals(volume, *self._on(volume.features.device))

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return mean and spread on a device, where they stay until another one asks."""
        if device not in self._placed:
            self._placed.clear()
            self._placed[device] = self.mean.to(device), self.std.to(device)
        return self._placed[device]

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file that carries its identity."""
        metadata = {
            "identity": json.dumps(self.identity, sort_keys=True),
            "fingerprint": self.backbone_fingerprint,
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
            raise UserError(
                f"template {path} does not exist; fit one with vjepa-tracker fit-template"
            )
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


def template_beside(source: str, **asked: object) -> PositionalTemplate | None:
    """Return the template that lies beside a backbone's weights, if it suits what is asked.

    Such a template also says how the features are best read: its identity has the layers, the
    input size and the window that it was fitted with.

    Args:
        source: as `BackboneConfig` takes it.
        **asked: settings of `BackboneConfig` that must be so; None for whatever the template has.

    Raises:
        UserError: the file is damaged.
    """
    path = Path(checkpoint_path(source)) / BESIDE_WEIGHTS
    if not path.is_file():
        return None
    template = PositionalTemplate.load(path)
    for name, value in asked.items():
        wanted = list(value) if isinstance(value, tuple) else value
        if wanted is not None and template.identity.get(name) != wanted:
            return None
    return template


def content_residuals(volume: FeatureVolume, mean: Tensor, std: Tensor) -> Tensor:
    """Subtract a mean at each place, in float32 whatever the precision of the features.

    In half precision the mean would be rounded, at each place by another amount and always by the
    same: a positional bias like the one that is to be removed.

    Args:
        volume: features `(B, L, S, C, h, w)`.
        mean: `(L, P, C, h, w) float32` on the same device.
        std: `(L, C) float32` there.

    Returns:
        `(B, L, S, C, h, w) float32` in units of the standard deviation.
    """
    return (volume.features.float() - mean[:, volume.phase]) / std[:, None, :, None, None]
