"""Dense optical flow, chained over frames: OpenCV's DIS (Kroeger et al., arXiv 1603.03590).

Flow is precise as long as it holds, and once lost stays lost: positions come with how sure the
worst round trip so far leaves us, from 1 down to 0 for a lost point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

LONGEST_SIDE = 640
"""Frames are shrunk to this before flow is computed; its cost grows with their area."""

SMALLEST_SIDE = 16
"""Smaller frames have no flow."""

MOST_COLUMNS = 2**15 - 2
"""OpenCV's limit for a side of a picture that it makes."""

MAX_ROUND_TRIP = 3.0
"""Forward-backward error that counts as lost, in 256ths of the frame's longer side."""


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


def gray_frames(frames: np.ndarray) -> np.ndarray:
    """Prepare frames `(T, H, W, 3) uint8` for flow: `(T, h, w) uint8`, sides at most 640."""
    height, width = frames.shape[1:3]
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    size = (round(width * scale), round(height * scale))
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    if scale < 1:
        gray = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in gray]
    return np.stack(gray)


class FlowBetweenFrames:
    """Dense flow between neighbouring images, each pair computed once for both directions of time.

    Args:
        images: T of `(H, W) uint8`.
        finest_scale: flow is computed on images halved so many times.
    """

    def __init__(self, images: Sequence[np.ndarray], finest_scale: int) -> None:
        self._images = images
        self._method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._method.setFinestScale(finest_scale)
        self._pairs: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def there_and_back(self, start: int, end: int, again: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the fields `(H, W, 2)` from image `start` to its neighbour `end` and back.

        Args:
            again: whether this pair will be asked for once more, and is worth its memory.
        """
        first = min(start, end)
        if first in self._pairs:
            pair = self._pairs.pop(first)
        else:
            one, two = self._images[first], self._images[first + 1]
            # Half precision: errors of at most 1/64 pixel for moves below 64 pixels.
            pair = (
                self._method.calc(one, two, None).astype(np.float16),
                self._method.calc(two, one, None).astype(np.float16),
            )
        if again:
            self._pairs[first] = pair
        return pair if start == first else pair[::-1]


def step_flow(
    there: np.ndarray, back: np.ndarray, xy: np.ndarray, sure: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Follow points one frame on.

    Args:
        there, back: `(H, W, 2)` flow to that frame and from it.
        xy: `(N, 2)` raster pixels in the first image.
        sure: `(N,)` the share of the allowed round trip that the worst one so far left over.

    Returns:
        Positions in the second image `(N, 2)` and the new `sure (N,)`.
    """
    moved = xy + sample(there, xy)
    returned = moved + sample(back, moved)
    error = np.linalg.norm(returned - xy, axis=-1) * 256 / max(there.shape)
    return moved, np.minimum(sure, np.clip(1 - error / MAX_ROUND_TRIP, 0, 1))


def sample(field: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Read a field `(H, W, 2)` at raster positions `(N, 2)`; beyond the border it goes on."""
    field = field.astype(np.float32)
    # OpenCV counts from pixel centres, we from the image's corner.
    x, y = np.ascontiguousarray((xy - 0.5).T, np.float32)[:, None]
    parts = [
        cv2.remap(field, x[:, part], y[:, part], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for part in (slice(k, k + MOST_COLUMNS) for k in range(0, len(xy), MOST_COLUMNS))
    ]
    return np.concatenate(parts, axis=1)[0]


def chain_flow(
    images: Sequence[np.ndarray],
    frame: np.ndarray,
    xy: np.ndarray,
    sure: np.ndarray,
    size: tuple[int, int],
    finest_scale: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Follow points through T images, both ways from where each is known.

    Args:
        images: T of `(h, w) uint8`.
        frame: `(N,)` the image in which each point is known.
        xy: `(N, 2)` raster pixels there, of frames of `size`.
        sure: `(N,)` how sure each is there; points at 0 are not followed.
        size: `(W, H)` that positions are told in; the images may be smaller.
        finest_scale: flow is computed on images halved so many times.

    Returns:
        Positions `(N, T, 2) float32` and `sure (N, T) float32`. Where a point is lost or outside
        the frame `sure` is 0, and the position means nothing.
    """
    height, width = images[0].shape
    scale = np.float32([width / size[0], height / size[1]])
    count, length = len(xy), len(images)
    places = np.repeat((np.asarray(xy, np.float32) * scale)[:, None], length, axis=1)
    trust = np.zeros((count, length), np.float32)
    trust[np.arange(count), frame] = sure
    latest = max(frame[np.asarray(sure) > 0], default=0)
    flow = FlowBetweenFrames(images, finest_scale)
    passes = ((1, range(1, length)), (-1, range(length - 2, -1, -1)))
    for step, order in passes if min(height, width) >= SMALLEST_SIDE else ():
        for t in order:
            before = t - step
            rows = np.flatnonzero((frame * step < t * step) & (trust[:, before] > 0))
            if rows.size:
                fields = flow.there_and_back(before, t, again=step == 1 and t <= latest)
                places[rows, t], trust[rows, t] = step_flow(
                    *fields, places[rows, before], trust[rows, before]
                )
    trust[~((places >= 0) & (places < (width, height))).all(-1)] = 0
    return places / scale, trust
