"""Choosing at random where to cut a clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

SMALLEST = 0.5
"""Side of the smallest crop, as a share of the largest that fits."""


@dataclass(frozen=True)
class Crop:
    """A box of a frame that is resized, maybe mirrored.

    Attributes:
        top: of the box, pixels of the frame.
        left: of the box.
        height: of the box.
        width: of the box.
        size: `(height, width)` that it is resized to.
        mirrored: whether left and right change places.
    """

    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]
    mirrored: bool

    def cut(self, clip: Tensor) -> Tensor:
        """Cut, resize and mirror frames `(T, 3, H, W)`."""
        box = clip[..., self.top : self.top + self.height, self.left : self.left + self.width]
        box = F.interpolate(box, self.size, mode="bilinear", antialias=True, align_corners=False)
        return box.flip(-1) if self.mirrored else box

    def move(self, xy: Tensor) -> Tensor:
        """Move raster positions `(..., 2)` along with the pixels."""
        height, width = self.size
        scale = xy.new_tensor([width / self.width, height / self.height])
        xy = (xy - xy.new_tensor([self.left, self.top])) * scale
        return torch.stack([width - xy[..., 0], xy[..., 1]], -1) if self.mirrored else xy


def below(random: Generator, bound: int) -> int:
    """Draw a whole number from 0 to `bound - 1`."""
    return int(torch.randint(bound, (), generator=random))


def draw_crop(random: Generator, frame: tuple[int, int], size: tuple[int, int]) -> Crop:
    """Draw a crop of the shape of `size`, mirrored half the time.

    Args:
        random: decides where, how large, and whether it is mirrored.
        frame: `(height, width)` of the frame.
        size: `(height, width)` of the result.
    """
    share = SMALLEST + (1 - SMALLEST) * float(torch.rand((), generator=random))
    scale = share * min(frame[0] / size[0], frame[1] / size[1])
    height, width = (max(1, round(side * scale)) for side in size)
    top, left = below(random, frame[0] - height + 1), below(random, frame[1] - width + 1)
    return Crop(top, left, height, width, size, mirrored=bool(below(random, 2)))
