"""What an evaluation runs on: named videos with true tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tracker.errors import UserError
from tracker.video.video import Video


@dataclass(frozen=True)
class Sample:
    """One video with annotated tracks.

    Attributes:
        video: the frames at their stored size.
        points: `(N, T, 2)` true positions as x, y in 0..1 of the frame.
        occluded: `(N, T) bool`.
    """

    video: Video
    points: np.ndarray
    occluded: np.ndarray

    def __post_init__(self) -> None:
        points, occluded, length = self.points, self.occluded, len(self.video)
        if points.ndim != 3 or points.shape[2] != 2 or points.shape[1] != length:
            raise UserError(
                f"{self.video.name}: points have shape {points.shape}; expected (N, {length}, 2)"
            )
        if occluded.shape != points.shape[:2]:
            raise UserError(
                f"{self.video.name}: occluded has shape {occluded.shape}; "
                f"expected {points.shape[:2]}"
            )
        if occluded.all():
            raise UserError(f"{self.video.name}: no point is visible in any frame")
        if not np.isfinite(points[~occluded]).all():
            raise UserError(f"{self.video.name}: a visible point has no finite position")


class Benchmark(Protocol):
    """Videos with true tracks, loaded one at a time."""

    name: str

    def __iter__(self) -> Iterator[tuple[str, Callable[[], Sample]]]:
        """Yield each video's name and how to load it; loading may raise `UserError`."""
        ...
