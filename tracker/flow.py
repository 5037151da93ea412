"""Sparse optical flow: OpenCV's pyramidal Lucas-Kanade with a round-trip check."""

from __future__ import annotations

import cv2
import numpy as np


def lucas_kanade(
    start_image: np.ndarray,
    end_image: np.ndarray,
    xy: np.ndarray,
    guess: np.ndarray | None = None,
    window: int = 21,
    levels: int = 3,
) -> tuple[np.ndarray, np.ndarray]:
    """Follow points from one image to another and back again.

    Args:
        start_image, end_image: `(H, W) uint8`.
        xy: `(N, 2)` raster pixels in the first image.
        guess: `(N, 2)` where to begin looking in the second; `xy` by default.
        window: side of the matched patch, in pixels.
        levels: pyramid levels above the full resolution.

    Returns:
        Positions in the second image `(N, 2)`, and by how many pixels `(N,)` the way back misses
        the start; infinite where the flow was lost.
    """
    # OpenCV counts from pixel centres, we from the image's corner.
    start = np.ascontiguousarray(xy - 0.5, np.float32)[:, None]
    first = start if guess is None else np.ascontiguousarray(guess - 0.5, np.float32)[:, None]
    options = {
        "winSize": (window, window),
        "maxLevel": levels,
        "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
    }
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        start_image, end_image, start, first.copy(), **options
    )
    # The way back begins as far off as the way there, so that it proves something.
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(
        end_image, start_image, there, there + start - first, **options
    )
    missed = np.linalg.norm((back - start)[:, 0], axis=-1)
    lost = (found[:, 0] == 0) | (found_back[:, 0] == 0)
    return there[:, 0] + 0.5, np.where(lost, np.inf, missed)
