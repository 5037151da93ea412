"""What is drawn, as far as drawing must know it."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np

from tracker.points.names import Names


class DrawnTracks(Protocol):
    """`Tracks`, which draw themselves, and so stand above all that draws."""

    @property
    def xy(self) -> np.ndarray:
        """`(N, T, 2) float32` raster pixels of a video of `size`."""
        ...

    @property
    def visible(self) -> np.ndarray:
        """`(N, T) bool`."""
        ...

    @property
    def confidence(self) -> np.ndarray:
        """`(N, T) float32` in 0..1."""
        ...

    @property
    def queries(self) -> np.ndarray:
        """`(N, 3) float32`, t, x, y."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """`(W, H)` that the pixels refer to."""
        ...

    @property
    def names(self) -> Names:
        """Of the points."""
        ...

    def select_points(self, index: list[int]) -> Self:
        """Return some of them."""
        ...

    def __len__(self) -> int:
        """N, the points."""
        ...
