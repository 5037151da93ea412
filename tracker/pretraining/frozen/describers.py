"""What describes frames: backbones, teachers, the tracker's RGB stem, raw pixels.

A describer turns T frames `(T, 3, H, W) uint8` into one map a frame, `(T, C, h, w)`, whose vectors
are compared by their cosine. Shapes: L layers, C channels, h x w cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from einops import rearrange
from torch import Tensor

from tracker.datasets.clips import ProceduralClips
from tracker.errors import UserError
from tracker.features.backbone import FrozenBackbone
from tracker.features.sources import random_encoder
from tracker.features.template import PositionalTemplate
from tracker.features.template_fitter import TemplateFitter
from tracker.pretraining.distill.teachers import Teacher
from tracker.progress import nested_bar
from tracker.tracking.model import TrackingModel
from tracker.video.pixels import resize

Describer = Callable[[Tensor], Tensor]


def describe_by_backbone(
    backbone: FrozenBackbone, template: PositionalTemplate | None, device: str = "cpu"
) -> Describer:
    """Concatenate a backbone's layers: residuals with a template, as they are without."""
    if template is not None:
        template.check(backbone)

    def describe(frames: Tensor) -> Tensor:
        volume = backbone(frames[None].to(device).float() / 255)
        features = volume.features if template is None else template.subtract(volume)
        by_slot = rearrange(features[0].float(), "l s c h w -> s (l c) h w")
        return by_slot[volume.slot.to(by_slot.device)].cpu()

    return describe


def random_backbone(backbone: FrozenBackbone) -> FrozenBackbone:
    """Return the same architecture, read in the same way, with random weights."""
    settings = replace(backbone.config, dtype="float32")
    return FrozenBackbone(settings, random_encoder(backbone.architecture))


def fit_template(
    backbone: FrozenBackbone, clips: int, textures: str | None, device: str = "cpu"
) -> PositionalTemplate:
    """Fit a template on rendered clips that no set is measured on."""
    config = backbone.config
    source = ProceduralClips(config.window, config.input_size, textures, seed=7)
    fitter = TemplateFitter(backbone)
    for number in nested_bar(range(clips), "fitting a template"):
        fitter.update(source.clip(number)[None].to(device))
    return fitter.finish()


def describe_by_teacher(teacher: Teacher, size: tuple[int, int], device: str = "cpu") -> Describer:
    """Show a teacher each frame; channels are standardised over the video."""

    def describe(frames: Tensor) -> Tensor:
        pictures = resize(frames[None].to(device).float() / 255, size)[0]
        maps = torch.cat([teacher(part).cpu() for part in pictures.split(8)])
        return (maps - maps.mean((0, 2, 3), keepdim=True)) / maps.std((0, 2, 3), keepdim=True)

    return describe


def describe_by_pixels(size: tuple[int, int], patch: int = 16) -> Describer:
    """Take the pixels of each patch, less their mean over the video."""

    def describe(frames: Tensor) -> Tensor:
        pictures = resize(frames[None].float() / 255, size)[0]
        pixels = rearrange(pictures, "t c (h p) (w q) -> t (c p q) h w", p=patch, q=patch)
        return pixels - pixels.mean((0, 2, 3), keepdim=True)

    return describe


def describe_by_stem(model: TrackingModel, size: tuple[int, int]) -> Describer:
    """Take the finest map, of stride 4, of a tracker's RGB stem.

    Raises:
        UserError: the tracker has no stem.
    """
    stem = getattr(model.head, "stem", None)
    if stem is None:
        raise UserError("the tracker has no RGB stem (head.use_rgb=false); name another for --stem")

    @torch.no_grad()
    def describe(frames: Tensor) -> Tensor:
        pictures = resize(frames[None].float() / 255, size)[0]
        return torch.cat([stem(part)[0] for part in pictures.split(4)])

    return describe
