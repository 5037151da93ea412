"""Teachers: networks whose feature maps of pictures a small backbone learns to predict.

`efficientnet-lite2` is the one whose weights come with a Python package (extra `distill`); every
other name is a folder or hub id that transformers loads: V-JEPA 2, DINOv2, DINOv3, SigLIP or ViT.
Shapes: N pictures, C channels, h x w cells of a map.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

import torch
from torch import Tensor, nn

from tracker.devices import bf16_pays
from tracker.errors import UserError
from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.features.images.efficientnet import EFFICIENTNET, FIRST_AT_STRIDE_16
from tracker.features.images.encoders import ImageArchitecture, ImageEncoder
from tracker.features.sources import frame_modes, load_architecture, load_encoder
from tracker.video.pixels import normalise


class Teacher(Protocol):
    """A frozen network that describes pictures.

    Attributes:
        name: as `open_teacher` takes it.
        channels: C.
        stride: pixels of its input a cell; sides of pictures are multiples of it.
        lag: pixels that what a cell describes lies above and left of the cell.
    """

    name: str
    channels: int
    stride: int
    lag: float

    def __call__(self, pictures: Tensor) -> Tensor:
        """Describe `(N, 3, H, W)` in 0..1 as `(N, C, H / stride, W / stride) float32`."""
        ...

    def fingerprint(self) -> str:
        """Hash of the weights and of the layer that is read."""
        ...


def open_teacher(
    name: str, layer: int | None = None, device: torch.device | str = "cpu"
) -> Teacher:
    """Return a teacher.

    Args:
        name: `efficientnet-lite2`, a hub id, or a folder in transformers' format.
        layer: the block or layer to read, counted from 1; None is block 15 of EfficientNet-Lite2,
            the last one with a cell every 16 pixels, and the last layer of a transformer.
        device: where it runs.

    Raises:
        UserError: its package is not installed, no such checkpoint, or it has no such layer.
    """
    if isinstance(load_architecture(name), ImageArchitecture):
        return ImageTeacher(name, layer, device)
    return VJepaTeacher(name, layer, device)


class ImageTeacher:
    """An encoder of pictures; see `open_teacher`."""

    def __init__(self, name: str, layer: int | None, device: torch.device | str) -> None:
        encoder = load_encoder(name)
        assert isinstance(encoder, ImageEncoder)  # as its architecture says
        depth = encoder.config.num_hidden_layers
        first = FIRST_AT_STRIDE_16 if name == EFFICIENTNET else 1
        self.layer = depth if layer is None else layer
        if not first <= self.layer <= depth:
            raise UserError(f"teacher.layer={layer}: {name} has layers {first}..{depth}")
        self.name, self.stride, self.lag = name, encoder.config.patch_size, encoder.lag
        self.channels = encoder.channels(self.layer)
        self._encoder = encoder.eval().requires_grad_(False).to(device)
        self._device = torch.device(device)
        # Convolutions gain by bfloat16 what is lost in a transformer's residual stream.
        self._bf16 = name == EFFICIENTNET and bf16_pays(self._device)

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """See `Teacher`."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            (described,) = self._encoder(pictures.to(self._device), (self.layer,))
        return described.float().contiguous()

    def fingerprint(self) -> str:
        """See `Teacher`."""
        return _fingerprint(self._encoder.network, self.layer)


class VJepaTeacher:
    """A V-JEPA 2 that sees a picture as a tubelet of equal frames; see `open_teacher`.

    V-JEPA 2.1 sees it as a picture.
    """

    lag = 0.0

    def __init__(self, name: str, layer: int | None, device: torch.device | str) -> None:
        architecture = load_architecture(name)
        layer = architecture.num_hidden_layers if layer is None else layer
        self.name, self._device = name, torch.device(device)
        self._backbone = FrozenBackbone(BackboneConfig(name, (layer,)))
        self._tubelet = architecture.tubelet_size
        self._takes_images = "image" in frame_modes(architecture)
        self.channels, self.stride = self._backbone.channels, self._backbone.patch

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """See `Teacher`."""
        still = normalise(pictures.to(self._device)[:, None])
        if self._takes_images:
            return self._backbone.encode_images(still)[:, 0, 0].float()
        still = still.expand(-1, self._tubelet, -1, -1, -1)
        return self._backbone.encode_tubelets(still)[:, 0, 0].float()

    def fingerprint(self) -> str:
        """See `Teacher`."""
        return f"{self._backbone.fingerprint()}-{self._backbone.config.layers[0]}"


def _fingerprint(module: nn.Module, layer: int) -> str:
    digest = hashlib.sha256(str(layer).encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
