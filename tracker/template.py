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

import torch
from torch import Tensor

from tracker.backbone import FeatureVolume, FrozenBackbone
from tracker.errors import UserError
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
                    f"has {key}={wanted}; fit one with python -m data_prep.fit_template"
                )
        if self.fingerprint != backbone.fingerprint():
            raise UserError(
                f"template belongs to a backbone with weights {self.fingerprint}, but "
                f"{backbone.config.source} has {backbone.fingerprint()}; fit one with "
                "python -m data_prep.fit_template"
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
            raise UserError(f"template {path} does not exist; fit one with data_prep.fit_template")
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


class TemplateFitter:
    """Averages features over clips as they come, in two halves that can be compared.

    Args:
        backbone: whose features are averaged.
    """

    def __init__(self, backbone: FrozenBackbone) -> None:
        self.backbone = backbone
        shape = (len(backbone.config.layers), backbone.phases, backbone.channels, *backbone.grid)
        # Float64 sums over a few hundred thousand clips stay exact to the last bit that matters.
        self._sum = torch.zeros(2, *shape, dtype=torch.float64)
        self._square = torch.zeros(shape[0], shape[2], dtype=torch.float64)
        self._count = torch.zeros(2, shape[1], dtype=torch.float64)
        self.clips = 0

    def update(self, video: Tensor) -> None:
        """Add clips `(B, T, 3, H, W)` in 0..1; T at least a window, so that each slot is seen."""
        volume = self.backbone(video)
        features = volume.features.detach().cpu().double()
        for clip in features:
            half = self.clips % 2
            self._sum[half].index_add_(1, volume.phase, clip)
            self._count[half].index_add_(
                0, volume.phase, torch.ones(len(volume.phase), dtype=torch.float64)
            )
            self._square += clip.square().mean(dim=(3, 4)).sum(dim=1)
            self.clips += 1

    def finish(self) -> PositionalTemplate:
        """Return the template of the clips so far.

        Raises:
            UserError: fewer than two clips, or clips shorter than a window.
        """
        if self.clips < 2 or (self._count.sum(0) == 0).any():
            raise UserError(
                f"a template needs at least 2 clips of {self.backbone.config.window} frames, "
                f"got {self.clips}; give more or longer videos"
            )
        count = self._count.sum(0)[None, :, None, None, None]
        mean = self._sum.sum(0) / count
        total = self._square / self._count.sum()
        within = (total - mean.square().mean(dim=(1, 3, 4))).clamp(min=1e-12)
        return PositionalTemplate(
            mean.float(),
            within.sqrt().float(),
            self.backbone.identity(),
            self.backbone.fingerprint(),
            TemplateReport(self.clips, self._split_half(), self._share(mean, total)),
        )

    def _split_half(self) -> list[float]:
        counts = self._count.clamp(min=1)[:, None, :, None, None, None]
        halves = self._sum / counts
        centred = halves - halves.mean(dim=(2, 4, 5), keepdim=True)
        cosine = torch.cosine_similarity(*centred.flatten(2), dim=-1)
        return [round(c, 4) for c in cosine.tolist()]

    @staticmethod
    def _share(mean: Tensor, total: Tensor) -> list[float]:
        """Variance of the template over places, against the variance of all features."""
        level = mean.mean(dim=(1, 3, 4))
        by_place = (mean.square().mean(dim=(1, 3, 4)) - level.square()).sum(-1)
        overall = (total - level.square()).sum(-1).clamp(min=1e-12)
        return [round(s, 4) for s in (by_place / overall).tolist()]

    def state_dict(self) -> dict[str, Tensor]:
        """Everything needed to go on later."""
        return {
            "sum": self._sum,
            "square": self._square,
            "count": self._count,
            "clips": torch.tensor(self.clips),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from `state_dict()`.

        Raises:
            UserError: the state is of another backbone's shape.
        """
        if state["sum"].shape != self._sum.shape:
            raise UserError("the saved progress belongs to another backbone; delete it to restart")
        self._sum, self._square, self._count = state["sum"], state["square"], state["count"]
        self.clips = int(state["clips"])
