"""Opening the encoder that a source names, whatever kind it is.

A source is `mini`, `mini-random`, a hub id or folder of V-JEPA 2.0 or 2.1, a `.pt` file of Meta's,
`efficientnet-lite2`, `pixels`, or a hub id or folder of an encoder of pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

from tracker.features import checkpoints, meta_checkpoints
from tracker.features.images import efficientnet, encoders, pixels
from tracker.features.images.encoders import ImageArchitecture, ImageEncoder

if TYPE_CHECKING:
    from transformers import VJEPA2Config, VJEPA2Model

    from tracker.features.vjepa21 import VJepa21Model

    Architecture: TypeAlias = VJEPA2Config | ImageArchitecture
    Encoder: TypeAlias = VJEPA2Model | VJepa21Model | ImageEncoder

FrameMode = Literal["tubelet", "offset", "duplicate", "image"]

VJEPA_20, VJEPA_21 = "vjepa2", "vjepa2_1"
"""What transformers calls the families."""


def load_architecture(source: str) -> Architecture:
    """Return what is known of an encoder without its weights.

    Raises:
        UserError: no such source, it is damaged, or its kind is not implemented.
    """
    if source == efficientnet.EFFICIENTNET:
        return efficientnet.ARCHITECTURE
    if source == pixels.PIXELS:
        return pixels.ARCHITECTURE
    if source == checkpoints.RANDOM_MINI:
        return checkpoints.load_config(source)
    if meta_checkpoints.is_meta_file(source):
        return meta_checkpoints.load_meta_config(source)
    kind = checkpoints.read_config(source).get("model_type", VJEPA_20)
    if kind == VJEPA_20:
        return checkpoints.load_config(source)
    if kind == VJEPA_21:
        return checkpoints.load_vjepa21_config(source)
    return encoders.load_image_architecture(source)


def load_encoder(source: str) -> Encoder:
    """Load an encoder in float32.

    Raises:
        UserError: as `load_architecture`; or its weights are missing, damaged or another model's.
    """
    if meta_checkpoints.is_meta_file(source):
        return meta_checkpoints.load_meta_model(source)
    architecture = load_architecture(source)
    if isinstance(architecture, ImageArchitecture):
        return _load_image_encoder(source)
    if architecture.model_type == VJEPA_21:
        return checkpoints.load_vjepa21(source)
    return checkpoints.load_model(source)


def _load_image_encoder(source: str) -> ImageEncoder:
    if source == efficientnet.EFFICIENTNET:
        return efficientnet.EfficientNetEncoder()
    if source == pixels.PIXELS:
        return pixels.PixelEncoder()
    return encoders.load_patch_encoder(source)


def random_encoder(architecture: Architecture) -> Encoder:
    """Return an architecture with random weights of a fixed seed, for comparison."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if isinstance(architecture, ImageArchitecture):
            if architecture.model_type == efficientnet.EFFICIENTNET:
                return efficientnet.EfficientNetEncoder(trained=False)
            if architecture.model_type == pixels.PIXELS:
                return pixels.PixelEncoder()
            return encoders.random_patch_encoder(architecture)
        from transformers import VJEPA2Model

        from tracker.features.vjepa21 import VJepa21Config, VJepa21Model

        if isinstance(architecture, VJepa21Config):
            return VJepa21Model(architecture)
        return VJEPA2Model(architecture)


def frame_modes(architecture: Architecture) -> tuple[FrameMode, ...]:
    """Return the ways in which an encoder can be shown frames, its natural one first."""
    if isinstance(architecture, ImageArchitecture):
        return ("image",)
    of_video: tuple[FrameMode, ...] = ("tubelet", "offset", "duplicate")
    return (*of_video, "image") if architecture.model_type == VJEPA_21 else of_video


def usual_layers(architecture: Architecture) -> tuple[int, ...]:
    """Return the layers, counted from 1, that are read where nobody says which.

    Those at a quarter, half, three quarters and the end of the depth; V-JEPA 2.1's are those with
    a norm.
    """
    if not isinstance(architecture, ImageArchitecture) and architecture.model_type == VJEPA_21:
        return tuple(layer + 1 for layer in architecture.hierarchical_layers)
    depth = architecture.num_hidden_layers
    first = getattr(architecture, "first_layer", 1)
    return tuple(sorted({max(first, depth * n // 4) for n in (1, 2, 3, 4)}))
