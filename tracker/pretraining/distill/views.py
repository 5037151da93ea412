"""Views: a photograph or video at the scale at which the small backbone sees it.

Every source has a few views, drawn from its number: each has a scale, a shape and may be mirrored.
The teacher sees a view whole, some times larger than the backbone does; the backbone sees crops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from tracker.errors import UserError


@dataclass(frozen=True)
class ViewConfig:
    """What views are like.

    Attributes:
        photograph_views: how many of each photograph.
        video_views: how many of each video.
        video_frames: frames of a video's view, which begin at a random one.
        zoom: pixels of the source a pixel of the view, smallest and largest.
        aspect: how much more the width is reduced than the height, smallest and largest; whole
            frames are seen squeezed into squares, so most of it lies above 1.
        smallest: lower bound on the sides of a view in pixels.
        largest: upper bound on them.
        teacher_scale: pixels that the teacher sees for one of the view.
    """

    photograph_views: int = 4
    video_views: int = 3
    video_frames: int = 32
    zoom: tuple[float, float] = (1.0, 2.2)
    aspect: tuple[float, float] = (0.8, 1.8)
    smallest: int = 128
    largest: int = 512
    teacher_scale: float = 1.5

    def __post_init__(self) -> None:
        for name in ("zoom", "aspect"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise UserError(f"views.{name}={[low, high]}: use 0 < smallest <= largest")
        for name in ("photograph_views", "video_views", "video_frames"):
            if getattr(self, name) < 1:
                raise UserError(f"views.{name}={getattr(self, name)} must be 1 or more")
        if not 16 <= self.smallest <= self.largest:
            raise UserError(
                f"views.smallest={self.smallest}, largest={self.largest}: use 16 <= smallest <= "
                "largest"
            )
        if not self.teacher_scale > 0:
            raise UserError(f"views.teacher_scale={self.teacher_scale} must be more than 0")


@dataclass(frozen=True)
class View:
    """One view of a source.

    Attributes:
        size: `(height, width)` of its pictures in pixels.
        mirrored: left and right are exchanged.
        first: frame of the source that it begins at.
        frames: how many it shows.
    """

    size: tuple[int, int]
    mirrored: bool
    first: int = 0
    frames: int = 1

    def pictures(self, source: Tensor) -> Tensor:
        """Turn frames `(F, 3, H, W)` in 0..1 into the view's `(F, 3, height, width)`."""
        small = F.interpolate(
            source, self.size, mode="bilinear", antialias=True, align_corners=False
        ).clamp(0, 1)
        return small.flip(-1) if self.mirrored else small

    def for_teacher(self, source: Tensor, scale: float, stride: int) -> Tensor:
        """Turn the same frames into the teacher's pictures, whose sides are multiples of stride."""
        height, width = (max(1, round(side * scale / stride)) * stride for side in self.size)
        return View((height, width), self.mirrored).pictures(source)


def draw_view(config: ViewConfig, frame: tuple[int, int], length: int, number: int) -> View:
    """Draw a view of a source of `length` frames of `(height, width)`; `number` decides all."""
    random = Generator().manual_seed(number)
    shape, scale, mirror, start = torch.rand(4, generator=random).tolist()
    zoom, aspect = log_uniform(config.zoom, scale), math.sqrt(log_uniform(config.aspect, shape))
    sides = frame[0] * aspect / zoom, frame[1] / (aspect * zoom)
    grow = max(1.0, *(config.smallest / side for side in sides))
    height, width = (min(config.largest, max(16, round(grow * side))) for side in sides)
    frames = min(config.video_frames, length)
    first = int(start * (length - frames + 1))
    return View((height, width), mirror < 0.5, first, frames)


def log_uniform(bounds: tuple[float, float], share: float) -> float:
    """Return what lies at a share of the way from one bound to the other, by ratio."""
    return bounds[0] * (bounds[1] / bounds[0]) ** share
