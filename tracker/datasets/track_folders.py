"""Clips cut at random from folders of annotated videos (Kubric, PointOdyssey)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from tracker.datasets.random_crop import below, draw_crop
from tracker.errors import UserError
from tracker.points.geometry import inside_frame
from tracker.video.loading import load_video
from tracker.video.pixels import image_size

TRIES = 10
"""Clips that are drawn before a folder of videos counts as unusable."""


@dataclass(frozen=True)
class AnnotatedFolder:
    """One video with its tracks.

    Attributes:
        images: folder of its frames.
        xy: `(N, T, 2)` pixels.
        visible: `(N, T) bool`.
    """

    images: Path
    xy: np.ndarray
    visible: np.ndarray

    def __post_init__(self) -> None:
        if self.xy.ndim != 3 or self.xy.shape[2] != 2 or self.visible.shape != self.xy.shape[:2]:
            raise UserError(
                f"{self.images.parent}: tracks have shape {self.xy.shape} and visibility "
                f"{self.visible.shape}; expected (N, T, 2) and (N, T)"
            )


class FolderTracks:
    """Random clips of annotated videos: cut in time and space, resized, flipped half the time.

    Args:
        folders: of the videos.
        read: reads one of them.
        frames: of every clip.
        size: of every clip, `(height, width)` in pixels.
        points: of every clip.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        read: Callable[[Path], AnnotatedFolder],
        frames: int,
        size: tuple[int, int],
        points: int,
    ) -> None:
        self._folders, self._read = list(folders), read
        self._frames, self._points = frames, points
        self._size = image_size("data.size", size)

    def clips(self, numbers: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return video `(B, T, 3, H, W)`, xy `(B, N, T, 2)` and visible `(B, N, T)`.

        Raises:
            UserError: ten clips in a row were too short, damaged, or without a visible point.
        """
        cut = [self._cut_some(Generator().manual_seed(number)) for number in numbers]
        video, xy, visible = (torch.stack(parts) for parts in zip(*cut, strict=True))
        return video, xy, visible

    def _cut_some(self, random: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Cut a clip; where one cannot be used, another is drawn."""
        for _ in range(TRIES - 1):
            try:
                return self._cut(random)
            except UserError:
                continue
        return self._cut(random)

    def _cut(self, random: Generator) -> tuple[Tensor, Tensor, Tensor]:
        folder = self._folders[below(random, len(self._folders))]
        annotated = self._read(folder)
        video = load_video(annotated.images)
        length = min(len(video), annotated.xy.shape[1])
        if length < self._frames:
            raise UserError(f"{folder} has {length} frames; data.frames={self._frames} is too many")
        start = below(random, length - self._frames + 1)
        stop = start + self._frames
        clip = torch.from_numpy(video.read(start, stop)).permute(0, 3, 1, 2).float() / 255
        xy = torch.from_numpy(np.ascontiguousarray(annotated.xy[:, start:stop])).float()
        visible = torch.from_numpy(np.ascontiguousarray(annotated.visible[:, start:stop]))
        crop = draw_crop(random, (clip.shape[2], clip.shape[3]), self._size)
        clip, xy = crop.cut(clip), crop.move(xy)
        height, width = self._size
        visible = visible & inside_frame(xy, (width, height))
        xy = torch.nan_to_num(xy, nan=-1.0, posinf=1e4, neginf=-1e4)
        usable = visible.any(1).nonzero()[:, 0]
        if not len(usable):
            raise UserError(f"{folder}: no point is visible in frames {start}..{stop - 1}")
        # Fewer points than asked for are repeated, so that every clip has the same number.
        order = torch.randperm(len(usable), generator=random).repeat(
            -(-self._points // len(usable))
        )
        chosen = usable[order[: self._points]]
        return clip, xy[chosen], visible[chosen]
