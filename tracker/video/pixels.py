"""From frames as videos have them to pixels as networks want them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

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
    """Turn frames, each `(h, w, 3) uint8`, into `(1, T, 3, height, width) float32` in 0..1."""
    return shrink_to_sizes(frames, [size], device)[0]


def shrink_to_sizes(
    frames: Iterable[np.ndarray],
    sizes: Sequence[tuple[int, int]],
    device: torch.device | str = "cpu",
    at_once: int | None = None,
) -> list[Tensor]:
    """Turn frames into videos of several sizes, brought to a device once.

    Args:
        frames: T of `(h, w, 3) uint8`.
        sizes: `(height, width)` of each video.
        device: where they go.
        at_once: frames that are resized in one call. None takes all on a GPU, and one on a CPU, so
            that large frames are never all held as floats at their own size.

    Returns:
        For each size `(1, T, 3, height, width) float32` in 0..1.
    """
    target = torch.device(device)
    left = iter(frames)
    if at_once is None and target.type == "cpu":
        at_once = 1
    parts = []
    while chunk := list(islice(left, at_once)):
        pictures = upload(np.stack(chunk), target).permute(0, 3, 1, 2).float() / 255
        parts.append([resize(pictures[None], size) for size in sizes])
    videos = [list(video) for video in zip(*parts, strict=True)]
    parts.clear()
    joined = []
    while videos:  # parts of a video go once they are joined
        joined.append(torch.cat(videos.pop(0), dim=1))
    return joined


def upload(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy an array to a device; to a GPU from memory that it can read while the CPU goes on."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def normalise(video: Tensor) -> Tensor:
    """Apply ImageNet's mean and deviation to `(B, T, 3, H, W)` in 0..1."""
    mean = video.new_tensor(IMAGENET_MEAN)[:, None, None]
    std = video.new_tensor(IMAGENET_STD)[:, None, None]
    return (video - mean) / std
