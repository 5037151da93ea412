"""Mean, spread and positional share of features, from sums over clips as they come.

A *place* is one (slot in the window, row, column). Shapes: B clips, L layers, S tubelet slots of a
clip, P slots of a window, C channels, h x w patches.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tracker.errors import UserError
from tracker.features.backbone import FeatureVolume

LEAST_VARIANCE = 1e-12
"""Channels that never change are taken to vary by this, so that they can be divided by."""


class PlaceMoments:
    """First and second moments of features by place, in two halves of the clips.

    Args:
        shape: `(L, P, C, h, w)`.
    """

    def __init__(self, shape: tuple[int, int, int, int, int]) -> None:
        layers, phases, channels, height, width = shape
        self.clips = 0
        self._patches = height * width
        # Float64 sums over a few hundred thousand clips stay exact to the last bit that matters.
        self._sum = torch.zeros(2, *shape, dtype=torch.float64)
        self._square = torch.zeros(layers, channels, dtype=torch.float64)
        self._count = torch.zeros(2, phases, dtype=torch.float64)

    def add(self, volume: FeatureVolume) -> None:
        """Add the clips of a volume, `(B, L, S, C, h, w)`."""
        ones = torch.ones(len(volume.phase), dtype=torch.float64)
        for clip in volume.features.detach().cpu().double():
            half = self.clips % 2
            self._sum[half].index_add_(1, volume.phase, clip)
            self._count[half].index_add_(0, volume.phase, ones)
            self._square += clip.square().mean(dim=(3, 4)).sum(dim=1)
            self.clips += 1

    @property
    def complete(self) -> bool:
        """Whether there are two clips or more, and each place has been seen."""
        return self.clips >= 2 and bool((self._count.sum(0) > 0).all())

    def mean(self) -> Tensor:
        """Return `(L, P, C, h, w) float32`."""
        return self._mean().float()

    def std(self) -> Tensor:
        """Return `(L, C) float32`, the spread of what is left after the mean at each place."""
        total = self._count.sum() * self._patches
        return (self._within() / total).clamp(min=LEAST_VARIANCE).sqrt().float()

    def positional_share(self) -> list[float]:
        """Return the share of each layer's variance that is by place, in 0..1.

        The variance component of a one-way random-effects analysis of variance (Fisher), summed
        over channels. It allows for the noise that a mean over few clips carries, so features
        without any positional part give 0 on average, instead of 1 in as many as there are clips.
        """
        count = self._count.sum(0)
        freedom = (self._patches * (count.sum() - len(count))).clamp(min=1)
        within = self._within().sum(-1) / freedom
        mean = self._mean()
        level = mean.mean(dim=(1, 3, 4), keepdim=True)
        places = len(count) * self._patches
        between = (mean - level).square().sum(dim=(1, 2, 3, 4)) / max(1, places - 1)
        between = (between - within * count.reciprocal().mean()).clamp(min=0)
        return (between / (between + within).clamp(min=LEAST_VARIANCE)).tolist()

    def split_half_cosine(self) -> list[float]:
        """Return for each layer the cosine between the centred means of two halves of the clips."""
        halves = self._sum / self._count.clamp(min=1)[:, None, :, None, None, None]
        centred = halves - halves.mean(dim=(2, 4, 5), keepdim=True)
        one, two = centred.flatten(2)
        return torch.cosine_similarity(one, two, dim=-1).tolist()

    def _mean(self) -> Tensor:
        return self._sum.sum(0) / self._count.sum(0)[None, :, None, None, None]

    def _within(self) -> Tensor:
        """Squared distances of all features from the mean at their place, `(L, C)` sums."""
        of_means = (self._count.sum(0)[:, None, None, None] * self._mean().square()).sum((1, 3, 4))
        return (self._patches * self._square - of_means).clamp(min=0)

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


def positional_share(features: Tensor) -> float:
    """Return the share of variance by place, in 0..1; see `PlaceMoments.positional_share`.

    Args:
        features: `(B, S, C, h, w)` of one layer, B at least 2.
    """
    slots, channels, height, width = features.shape[1:]
    moments = PlaceMoments((1, slots, channels, height, width))
    phase = torch.arange(slots)
    moments.add(FeatureVolume(features[:, None], phase, phase))
    return moments.positional_share()[0]
