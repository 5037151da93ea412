"""Sparse optical flow: OpenCV's pyramidal Lucas-Kanade with a round-trip check.

Flow is precise as long as it holds, and once lost stays lost: positions come with how sure the
worst round trip so far leaves us, from 1 down to 0 for a lost point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor


def lucas_kanade(
    start_image: np.ndarray, end_image: np.ndarray, xy: np.ndarray, window: int, levels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Follow points from one image to another and back again.

    Args:
        start_image, end_image: `(H, W) uint8`.
        xy: `(N, 2)` raster pixels in the first image.
        window: side of the matched patch, in pixels.
        levels: pyramid levels above the full resolution.

    Returns:
        Positions in the second image `(N, 2)`, and by how many pixels `(N,)` the way back misses
        the start; infinite where the flow was lost.
    """
    # OpenCV counts from pixel centres, we from the image's corner.
    start = np.ascontiguousarray(xy - 0.5, np.float32)[:, None]
    options = {"winSize": (window, window), "maxLevel": levels}
    there, found, _ = cv2.calcOpticalFlowPyrLK(start_image, end_image, start, None, **options)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(end_image, start_image, there, None, **options)
    missed = np.linalg.norm((back - start)[:, 0], axis=-1)
    lost = (found[:, 0] == 0) | (found_back[:, 0] == 0)
    return there[:, 0] + 0.5, np.where(lost, np.inf, missed)


@dataclass(frozen=True)
class FlowConfig:
    """How points are followed from frame to frame.

    Attributes:
        window: side of the matched patch, in pixels.
        levels: pyramid levels above the full resolution.
        max_round_trip: forward-backward error that counts as lost, in 256ths of the frame's longer
            side, so that it means the same at every resolution; 10 pixels at 480p.
    """

    window: int = 21
    levels: int = 3
    max_round_trip: float = 3.0


@dataclass(frozen=True)
class FlowProposals:
    """Where optical flow leads from places that are known.

    Attributes:
        xy: `(B, N, T, 2)` fine pixels.
        sure: `(B, N, T)` in 0..1; 0 where flow is lost.
    """

    xy: Tensor
    sure: Tensor

    def points(self, index: slice | Tensor) -> FlowProposals:
        """Return some of the points."""
        return FlowProposals(self.xy[:, index], self.sure[:, index])


def step_flow(
    start_image: np.ndarray,
    end_image: np.ndarray,
    xy: np.ndarray,
    sure: np.ndarray,
    config: FlowConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Follow points one frame on.

    Args:
        start_image, end_image: `(H, W) uint8`.
        xy: `(N, 2)` raster pixels in the first image.
        sure: `(N,)` the share of the allowed round trip that the worst one so far left over.

    Returns:
        Positions in the second image `(N, 2)` and the new `sure (N,)`.
    """
    moved, missed = lucas_kanade(start_image, end_image, xy, config.window, config.levels)
    error = missed * 256 / max(start_image.shape)
    return moved, np.minimum(sure, np.clip(1 - error / config.max_round_trip, 0, 1))


def chain_flow(
    images: Sequence[np.ndarray],
    frame: np.ndarray,
    xy: np.ndarray,
    sure: np.ndarray,
    config: FlowConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Follow points through T images, both ways from where each is known.

    Args:
        images: T of `(H, W) uint8`.
        frame: `(N,)` the image in which each point is known.
        xy: `(N, 2)` raster pixels there.
        sure: `(N,)` how sure each is there; points at 0 are not followed.

    Returns:
        Positions `(N, T, 2) float32` and `sure (N, T) float32`. Where a point is lost or outside
        the frame `sure` is 0, and the position means nothing.
    """
    count, length = len(xy), len(images)
    places = np.repeat(np.asarray(xy, np.float32)[:, None], length, axis=1)
    trust = np.zeros((count, length), np.float32)
    trust[np.arange(count), frame] = sure
    for step, order in ((1, range(1, length)), (-1, range(length - 2, -1, -1))):
        for t in order:
            rows = np.flatnonzero((frame * step < t * step) & (trust[:, t - step] > 0))
            if rows.size:
                places[rows, t], trust[rows, t] = step_flow(
                    images[t - step],
                    images[t],
                    places[rows, t - step],
                    trust[rows, t - step],
                    config,
                )
    height, width = images[0].shape
    trust[~((places >= 0) & (places < (width, height))).all(-1)] = 0
    return places, trust
