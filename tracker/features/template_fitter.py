"""Fitting a positional template: averages over clips as they come."""

from __future__ import annotations

from torch import Tensor

from tracker.errors import UserError
from tracker.features.backbone import FrozenBackbone
from tracker.features.moments import PlaceMoments
from tracker.features.template import PositionalTemplate, TemplateReport


class TemplateFitter:
    """Averages a backbone's features over clips as they come.

    Args:
        backbone: whose features are averaged.
    """

    def __init__(self, backbone: FrozenBackbone) -> None:
        self.backbone = backbone
        layers, (height, width) = len(backbone.config.layers), backbone.grid
        self._moments = PlaceMoments((layers, backbone.phases, backbone.channels, height, width))

    @property
    def clips(self) -> int:
        """How many clips have been added."""
        return self._moments.clips

    def update(self, video: Tensor) -> None:
        """Add clips `(B, T, 3, H, W)` in 0..1; T at least a window, so that each slot is seen."""
        self._moments.add(self.backbone(video))

    def finish(self) -> PositionalTemplate:
        """Return the template of the clips so far.

        Raises:
            UserError: fewer than two clips, or clips shorter than a window.
        """
        moments = self._moments
        if not moments.complete:
            raise UserError(
                f"a template needs at least 2 clips of {self.backbone.config.window} frames, "
                f"got {moments.clips}; give more or longer videos"
            )
        return PositionalTemplate(
            moments.mean(),
            moments.std(),
            self.backbone.identity(),
            self.backbone.fingerprint(),
            TemplateReport(
                moments.clips,
                [round(cosine, 4) for cosine in moments.split_half_cosine()],
                [round(share, 4) for share in moments.positional_share()],
            ),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Everything needed to go on later."""
        return self._moments.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from `state_dict()`.

        Raises:
            UserError: the state is of another backbone's shape.
        """
        self._moments.load_state_dict(state)
