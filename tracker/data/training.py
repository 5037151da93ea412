"""Clips with true tracks, numbered: what the head is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from tracker.data.procedural import SceneConfig, render_scenes
from tracker.data.textures import TextureBank
from tracker.errors import UserError


@dataclass(frozen=True)
class TrackedClips:
    """A batch of clips.

    Attributes:
        video: `(B, T, 3, H, W) float32` in 0..1.
        xy: `(B, N, T, 2)` raster pixels.
        visible: `(B, N, T) bool`.
        query_frame: `(B, N) int64`, a frame in which each point is visible.
    """

    video: Tensor
    xy: Tensor
    visible: Tensor
    query_frame: Tensor

    def to(self, device: torch.device) -> TrackedClips:
        tensors = (self.video, self.xy, self.visible, self.query_frame)
        return TrackedClips(*(t.to(device, non_blocking=True) for t in tensors))


class TrackSource(Protocol):
    """Numbered clips, all of one size, length and number of points."""

    def clips(self, numbers: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return video, xy and visible as in `TrackedClips`; a number's clip never changes."""
        ...


class ProceduralTracks:
    """Rendered scenes with points.

    Args:
        frames, size, points: of every clip; size is `(height, width)`.
        textures: a folder of photographs, or None for the built-in ones.
        device: where to render.
        scene: further settings of `SceneConfig`.
    """

    def __init__(
        self,
        frames: int,
        size: tuple[int, int],
        points: int,
        textures: str | None = None,
        device: str = "cpu",
        scene: dict[str, Any] | None = None,
    ) -> None:
        self._bank = TextureBank.from_folder(textures) if textures else TextureBank.builtin()
        height, width = size
        self._config = SceneConfig(
            frames=frames, height=height, width=width, points=points, **(scene or {})
        )
        self._device = device

    def clips(self, numbers: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        scenes = render_scenes(numbers, self._config, self._bank, self._device)
        return scenes.video, scenes.xy, scenes.visible


class TrackedBatches:
    """Batches of a source, each point with a query frame chosen at random."""

    def __init__(self, source: TrackSource) -> None:
        self._source = source

    def batch(self, numbers: list[int]) -> TrackedClips:
        """Return the clips of these numbers; the same numbers give the same batch."""
        video, xy, visible = self._source.clips(numbers)
        random = Generator().manual_seed(numbers[0])
        return TrackedClips(video, xy, visible, choose_query_frames(visible, random))


def choose_query_frames(visible: Tensor, random: Generator) -> Tensor:
    """Pick a visible frame of each point at random; `(B, N, T) bool` to `(B, N)`.

    Raises:
        UserError: a point is never visible.
    """
    if not visible.any(-1).all():
        raise UserError("a training clip has a point that is never visible")
    score = torch.rand(visible.shape, generator=random).to(visible.device)
    return (score * visible).argmax(-1)
