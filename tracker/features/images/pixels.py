"""Raw pixels as an encoder: what every other one has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tracker.features.images.encoders import ImageArchitecture, ImageEncoder

PIXELS = "pixels"
PATCH = 16
ARCHITECTURE = ImageArchitecture(PIXELS, 3 * PATCH**2, 1, 8, PATCH)


class PixelEncoder(ImageEncoder):
    """Describes a patch by its pixels, a channel each. Its weights are those of the identity."""

    config = ARCHITECTURE

    def __init__(self) -> None:
        super().__init__()
        channels = ARCHITECTURE.hidden_size
        self.network = nn.Conv2d(3, channels, PATCH, PATCH, bias=False)
        self.network.weight = nn.Parameter(torch.eye(channels).view(channels, 3, PATCH, PATCH))

    def channels(self, layer: int) -> int:
        """See `ImageEncoder`."""
        return self.config.hidden_size

    def forward(self, pictures: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """See `ImageEncoder`."""
        weight = next(self.parameters())
        return [self.network(pictures.to(weight.dtype)) for _ in layers]
