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

FIELDS_BYTES = 192 * 2**20
"""Fields of a clip that are kept where nobody else remembers them; 100 pairs of 640x360, there and
back."""


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
        finest_scale: flow is computed on images halved so many times.
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
        self._images, self._finest_scale, self._first = images, finest_scale, first
        self._memory = BoundedMemory(FIELDS_BYTES) if memory is None else memory
        preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
        self._method = cv2.DISOpticalFlow_create(preset)  # type: ignore[attr-defined]  # no stub
        self._method.setFinestScale(finest_scale)

    @property
    def side(self) -> int:
        """The images' longer side in pixels."""
        return max(self._images[0].shape)

    def lead(self, start: int, end: int, xy: np.ndarray) -> np.ndarray:
        """Return where points `xy (N, 2)` of image `start` are in image `end`, in raster pixels."""
        return xy + sample(self.field(start, end), xy)

    def field(self, start: int, end: int) -> np.ndarray:
        """Return the field `(H, W, 2) float16` from image `start` to image `end`."""
        key = ("flow", self._finest_scale, self._first + start, self._first + end)
        field = self._memory.find(key)
        if field is None:
            field = field_between(self._method, self._images[start], self._images[end])
            self._memory.keep(key, field, field.nbytes)
        return field


def field_between(method: cv2.DISOpticalFlow, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return flow `(H, W, 2) float16` from one image to another.

    Half precision errs by at most 1/64 pixel for moves below 64 pixels.
    """
    # NumPy takes three times as long to round, and longer still where flow is all but 0.
    field = method.calc(start, end, None)  # type: ignore[call-overload]  # the stub wants a guess
    return torch.from_numpy(field).half().numpy()
