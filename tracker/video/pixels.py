"""From frames as videos have them to pixels as networks want them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tracker.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def image_size(name: str, value: object) -> tuple[int, int]:
    """Return a setting `(height, width)` as a tuple.

    Raises:
        UserError: it is not two whole numbers above 0.
    """
    sides = tuple(value) if isinstance(value, Sequence) else (value,)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise UserError(f"{name}={value}: give height and width in pixels, such as [256,256]")
    return sides


def resize(video: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize `(B, T, 3, H, W)` to `size` `(height, width)`, anti-aliased where it shrinks."""
    if tuple(video.shape[-2:]) == tuple(size):
        return video
    flat = F.interpolate(
        video.flatten(0, 1), size, mode="bilinear", antialias=True, align_corners=False
    )
    return flat.unflatten(0, video.shape[:2])


def shrink_frames(
    frames: Iterable[np.ndarray], size: tuple[int, int], device: torch.device | str = "cpu"
) -> Tensor:
    """Turn frames, each `(h, w, 3) uint8`, into `(1, T, 3, height, width) float32` in 0..1.

    One frame at a time, so that large ones are never all held as floats at their own size.
    """
    small = []
    for frame in frames:
        picture = torch.tensor(frame, device=device).permute(2, 0, 1).float() / 255
        small.append(resize(picture[None, None], size))
    return torch.cat(small, dim=1)


def normalise(video: Tensor) -> Tensor:
    """Apply ImageNet's mean and deviation to `(B, T, 3, H, W)` in 0..1."""
    mean = video.new_tensor(IMAGENET_MEAN)[:, None, None]
    std = video.new_tensor(IMAGENET_STD)[:, None, None]
    return (video - mean) / std
