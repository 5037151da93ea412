"""Encoders of pictures as frozen backbones: each frame is described on its own.

A transformer of patches (DINOv2, DINOv3, SigLIP, SigLIP 2, ViT) through transformers; beside this
file are the other kinds. Shapes: N pictures, C channels, h x w patches.
"""

from __future__ import annotations

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from tracker.errors import UserError
from tracker.video.pixels import IMAGENET_MEAN, IMAGENET_STD

FAMILIES = "V-JEPA 2, DINOv2, DINOv3, SigLIP or ViT"


@dataclass(frozen=True)
class ImageArchitecture:
    """What is known of an encoder of pictures before its weights are read.

    The names are those of transformers' configs.

    Attributes:
        model_type: its family.
        hidden_size: C, the channels of a feature.
        num_hidden_layers: the last layer that can be read, counted from 1.
        num_attention_heads: of a layer; of convolutions, a divisor of C.
        patch_size: side of a patch in pixels of the input.
        first_layer: the first layer with so many channels and patches of this size.
        tubelet_size: frames that share a feature.
        config: transformers' own, where there is one.
    """

    model_type: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    patch_size: int
    first_layer: int = 1
    tubelet_size: int = 1
    config: Any = None


class ImageEncoder(nn.Module, ABC):
    """A network that describes pictures by maps of its layers.

    Attributes:
        config: its architecture.
        network: the module that holds its weights.
        lag: pixels that what a cell describes lies above and left of the cell.
    """

    config: ImageArchitecture
    network: nn.Module
    lag = 0.0

    @property
    def encoder(self) -> nn.Module:
        """All of it, where V-JEPA's models have a predictor besides."""
        return self

    @abstractmethod
    def channels(self, layer: int) -> int:
        """Return C of a layer, counted from 1."""

    @abstractmethod
    def forward(self, pictures: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Describe pictures.

        Args:
            pictures: `(N, 3, H, W)` in 0..1; sides are multiples of the patch.
            layers: whose maps are wanted, counted from 1; the last after the final norm.

        Returns:
            `(N, C, h, w)` for each wanted layer.
        """


class PatchEncoder(ImageEncoder):
    """A vision transformer of patches, such as DINOv2, DINOv3, SigLIP or ViT.

    Its class and register tokens are left out.

    Args:
        config: its architecture.
        network: transformers' model; of those of pictures and text, the part for pictures.
        mean: of the pixels' colours that it was trained on, in 0..1.
        std: their deviation.
    """

    def __init__(
        self, config: ImageArchitecture, network: nn.Module, mean: Tensor, std: Tensor
    ) -> None:
        super().__init__()
        self.config, self.network = config, network
        self._mean, self._std = mean, std

    def channels(self, layer: int) -> int:
        """See `ImageEncoder`."""
        return self.config.hidden_size

    def forward(self, pictures: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """See `ImageEncoder`."""
        pixels = (pictures - self._mean.to(pictures)) / self._std.to(pictures)
        height, width = (side // self.config.patch_size for side in pixels.shape[-2:])
        output = self._run(pixels.to(next(self.network.parameters()).dtype))
        maps = []
        for layer in layers:
            # The last layer is read after the final norm, as the model's own users read it.
            last = layer == self.config.num_hidden_layers
            tokens = output.last_hidden_state if last else output.hidden_states[layer]
            patches = tokens[:, tokens.shape[1] - height * width :]
            maps.append(rearrange(patches, "n (h w) c -> n c h w", h=height))
        return maps

    def _run(self, pixels: Tensor) -> Any:
        if self.config.model_type.startswith("siglip2"):
            return self._run_on_patches(pixels)
        try:
            return self.network(
                pixel_values=pixels, output_hidden_states=True, interpolate_pos_encoding=True
            )
        except TypeError:  # those whose positions fit every size do not take the option
            return self.network(pixel_values=pixels, output_hidden_states=True)

    def _run_on_patches(self, pixels: Tensor) -> Any:
        """Run a SigLIP 2 for pictures of any shape, which takes patches that are cut already."""
        side = self.config.patch_size
        patches = rearrange(pixels, "n c (h p) (w q) -> n (h w) (p q c)", p=side, q=side)
        grid = [pixels.shape[2] // side, pixels.shape[3] // side]
        shapes = torch.tensor([grid] * len(pixels), device=pixels.device)
        everything = torch.ones(patches.shape[:2], dtype=torch.long, device=pixels.device)
        return self.network(patches, everything, shapes, output_hidden_states=True)


def load_image_architecture(name: str) -> ImageArchitecture:
    """Read the config of a transformer of patches.

    Args:
        name: a folder or hub id.

    Raises:
        UserError: no such checkpoint, or its model has no patches of pixels.
    """
    from transformers import AutoConfig

    try:
        whole = AutoConfig.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(_cannot_load(name, error)) from error
    # Models of pictures and text keep what is about pictures here.
    config = getattr(whole, "vision_config", whole)
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "patch_size")
    numbers = {name: getattr(config, name, None) for name in names}
    if not all(isinstance(number, int) and number > 0 for number in numbers.values()):
        raise UserError(f"{name}: a {whole.model_type} has no patches of pixels; name {FAMILIES}")
    found: dict[str, Any] = numbers  # each a number, as was checked
    return ImageArchitecture(whole.model_type, config=whole, **found)


def load_patch_encoder(name: str) -> PatchEncoder:
    """Load a transformer of patches in float32.

    Raises:
        UserError: no such checkpoint, or weights are missing from it.
    """
    from safetensors import SafetensorError
    from transformers import AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # our commands show their own
    architecture = load_image_architecture(name)
    try:
        model, report = AutoModel.from_pretrained(
            name, dtype=torch.float32, output_loading_info=True, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(_cannot_load(name, error)) from error
    # Poolers are not read, and many checkpoints have none.
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing:
        reason = f"it lacks {len(missing)} weights, {missing[0]} among them"
        raise UserError(_cannot_load(name, ValueError(reason)))
    return PatchEncoder(architecture, _vision_part(model), *mean_and_std(name))


def random_patch_encoder(architecture: ImageArchitecture) -> PatchEncoder:
    """Return the same architecture with random weights, by torch's generator."""
    from transformers import AutoModel

    model = AutoModel.from_config(architecture.config)
    return PatchEncoder(architecture, _vision_part(model), *_imagenet())


def _vision_part(model: Any) -> nn.Module:
    return getattr(model, "vision_model", model)


def _cannot_load(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    return (
        f"{name!r} cannot be loaded ({reason}); name efficientnet-lite2, or a folder or hub id of "
        f"{FAMILIES}"
    )


def mean_and_std(name: str) -> tuple[Tensor, Tensor]:
    """Return what the checkpoint's preprocessor says, else ImageNet's, each `(3, 1, 1)`."""
    from transformers.utils import cached_file

    settings: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        file = cached_file(name, "preprocessor_config.json")
        settings = json.loads(Path(file).read_text()) if file else {}
    mean, std = _imagenet()
    if "image_mean" in settings and "image_std" in settings:
        mean, std = torch.tensor(settings["image_mean"]), torch.tensor(settings["image_std"])
    return mean.reshape(3, 1, 1), std.reshape(3, 1, 1)


def _imagenet() -> tuple[Tensor, Tensor]:
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    return mean[:, None, None], std[:, None, None]
