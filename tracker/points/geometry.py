"""The one rule of what lies inside a frame.

Positions are raster pixels: the frame spans 0..W by 0..H, its corners and borders included, and
pixel centres lie at +0.5. The border belongs to the frame on all four sides because TAP-Vid
annotates in 0..1 with both ends, so that a point may lie at x = W exactly, and because nothing that
reads pixels needs it otherwise: OpenCV, which counts from pixel centres, sees x = W as half a pixel
beyond the last centre, and repeats the border there just as it does half a pixel before the first,
at x = 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")


def inside_frame(xy: Array, size: tuple[int, int]) -> Array:
    """Return which positions lie inside a frame, its border included.

    Args:
        xy: `(..., 2)` raster pixels, an array or a tensor. What is not a number is not inside.
        size: `(W, H)` of the frame in pixels.

    Returns:
        `(...) bool`, of the same kind as `xy`.
    """
    x, y = xy[..., 0], xy[..., 1]
    return (x >= 0) & (x <= size[0]) & (y >= 0) & (y <= size[1])
