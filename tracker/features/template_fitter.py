"""Fitting a positional template: averages over clips as they come."""

from __future__ import annotations

import torch
from torch import Tensor

from tracker.errors import UserError
from tracker.features.backbone import FrozenBackbone
from tracker.features.template import PositionalTemplate, TemplateReport


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
