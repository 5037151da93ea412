"""Dense optical flow between pairs of frames: OpenCV's DIS (Kroeger et al., arXiv 1603.03590)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from tracker.flow.sampling import sample
from tracker.memory import BoundedMemory

LONGEST_SIDE = 640
"""Frames are shrunk to this before flow is computed; its cost grows with their area."""

SMALLEST_SIDE = 16
"""Smaller images have no flow."""

FIELDS_BYTES = 192 * 2**20
"""Fields of a clip that are kept where nobody else remembers them; 170 pairs of 640x360."""


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
    """Dense flow between two images of a clip; a field is computed once while it is remembered.

    Args:
        images: T of `(H, W) uint8`.
        finest_scale: flow is computed on images halved so many times, as long as they are not
            smaller than `SMALLEST_SIDE`.
        first: number of the first image, under which fields are remembered.
        memory: of the fields; without one, those of these images alone are remembered.
    """

    def __init__(
        self,
        images: Sequence[np.ndarray] | np.ndarray,
        finest_scale: int,
        first: int = 0,
        memory: BoundedMemory | None = None,
    ) -> None:
        self._images, self._first = images, first
        self._memory = BoundedMemory(FIELDS_BYTES) if memory is None else memory
        preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
        self._method = cv2.DISOpticalFlow_create(preset)  # type: ignore[attr-defined]  # no stub
        self._method.setFinestScale(0)
        most = max(0, int(np.log2(min(images[0].shape) / SMALLEST_SIDE)))
        self._halvings = min(finest_scale, most)
        self._halvings_back = min(max(finest_scale, 1), most)

    @property
    def side(self) -> int:
        """The images' longer side in pixels."""
        return max(self._images[0].shape)

    def lead(self, start: int, end: int, xy: np.ndarray) -> np.ndarray:
        """Return where points `xy (N, 2)` of image `start` are in image `end`, in raster pixels."""
        return self._lead(start, end, self._halvings, xy)

    def lead_back(self, start: int, end: int, xy: np.ndarray) -> np.ndarray:
        """Return the same less precisely, for a check: from images of half the size at most.

        A quarter of the pixels says as well whether the way back leads home.
        """
        return self._lead(start, end, self._halvings_back, xy)

    def _lead(self, start: int, end: int, halvings: int, xy: np.ndarray) -> np.ndarray:
        field = self.field(start, end, halvings)
        height, width = self._images[start].shape
        scale = np.array([width / field.shape[1], height / field.shape[0]], np.float32)
        return xy + scale * sample(field, xy / scale)

    def field(self, start: int, end: int, halvings: int = 0) -> np.ndarray:
        """Return the field from one image to another, both halved so many times.

        Args:
            start: index of an image.
            end: index of another.
            halvings: how many times.

        Returns:
            `(h, w, 2) float16` in pixels of the halved images.
        """
        key = ("flow", halvings, self._first + start, self._first + end)
        field = self._memory.find(key)
        if field is None:
            images = (halved(self._images[index], halvings) for index in (start, end))
            field = field_between(self._method, *images)
            self._memory.keep(key, field, field.nbytes)
        return field


def halved(image: np.ndarray, times: int) -> np.ndarray:
    """Return `(H, W) uint8` at half its size, so many times."""
    for _ in range(times):
        height, width = image.shape
        image = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return image


def field_between(method: cv2.DISOpticalFlow, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return flow `(H, W, 2) float16` from one image to another.

    Half precision errs by at most 1/64 pixel for moves below 64 pixels.
    """
    # NumPy takes three times as long to round, and longer still where flow is all but 0.
    field = method.calc(start, end, None)  # type: ignore[call-overload]  # the stub wants a guess
    return torch.from_numpy(field).half().numpy()
