"""Dense optical flow between pairs of frames: OpenCV's DIS (Kroeger et al., arXiv 1603.03590)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

LONGEST_SIDE = 640
"""Frames are shrunk to this before flow is computed; its cost grows with their area."""

MOST_COLUMNS = 2**15 - 2
"""OpenCV's limit for a side of a picture that it makes."""


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
    """Dense flow between two images of a clip, each pair computed once for both directions.

    Args:
        images: T of `(H, W) uint8`.
        finest_scale: flow is computed on images halved so many times.
    """

    def __init__(self, images: Sequence[np.ndarray] | np.ndarray, finest_scale: int) -> None:
        self._images = images
        preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
        self._method = cv2.DISOpticalFlow_create(preset)  # type: ignore[attr-defined]  # no stub
        self._method.setFinestScale(finest_scale)
        self._pairs: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def there_and_back(self, start: int, end: int, again: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the fields `(H, W, 2)` from image `start` to image `end` and back.

        Args:
            start: number of an image.
            end: number of another.
            again: whether this pair will be asked for once more, and is worth its memory.
        """
        key = (min(start, end), max(start, end))
        pair = self._pairs.pop(key, None)
        if pair is None:
            one, two = (self._images[t] for t in key)
            pair = field_between(self._method, one, two), field_between(self._method, two, one)
        if again:
            self._pairs[key] = pair
        return pair if start < end else pair[::-1]


def field_between(method: cv2.DISOpticalFlow, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return flow `(H, W, 2) float16` from one image to another.

    Half precision errs by at most 1/64 pixel for moves below 64 pixels.
    """
    # NumPy takes three times as long to round, and longer still where flow is all but 0.
    field = method.calc(start, end, None)  # type: ignore[call-overload]  # the stub wants a guess
    return torch.from_numpy(field).half().numpy()


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
