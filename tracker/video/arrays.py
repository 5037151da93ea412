"""Frames from arrays in memory or mapped from a file, and frames of another source, changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tracker.errors import UserError
from tracker.video.source import VideoInfo


class ArraySource:
    """Frames from an array or memory-mapped `.npy`, converted a frame at a time.

    Raises:
        UserError: not `(T, H, W, 3)`, `(T, H, W, 1)` or `(T, H, W)`; not uint8 or float; empty.
    """

    def __init__(self, array: np.ndarray, fps: float, name: str) -> None:
        shape = array.shape
        if array.ndim not in (3, 4) or (array.ndim == 4 and shape[3] not in (1, 3)):
            raise UserError(f"{name} has shape {shape}; frames must be (T, H, W, 3) or (T, H, W)")
        if 0 in shape:
            raise UserError(f"{name} has shape {shape}, which holds no pixels")
        if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
            raise UserError(f"{name} has type {array.dtype}; use uint8, or float in 0..1")
        self._array = array
        self.info = VideoInfo(name, (shape[2], shape[1]), shape[0], float(fps), codec="array")

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1` as `(H, W, 3) uint8`.

        Raises:
            UserError: pixels outside 0..1, or not numbers.
        """
        for index in range(start, stop):
            yield self._rgb(np.asarray(self._array[index]), index)

    def _rgb(self, frame: np.ndarray, index: int) -> np.ndarray:
        if frame.dtype != np.uint8:
            if not np.isfinite(frame).all():
                raise UserError(f"frame {index} of {self.info.name} has NaN or infinite pixels")
            if frame.min() < 0 or frame.max() > 1:
                raise UserError(
                    f"frame {index} of {self.info.name} has float pixels outside 0..1; "
                    "divide by 255 or store uint8"
                )
            frame = np.round(frame * 255).astype(np.uint8)
        if frame.ndim == 2:
            frame = frame[..., None]
        return np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))


class MappedSource:
    """Frames of another source, each passed through `transform`.

    Args:
        info: of the frames as they will be.
        frames: `(start, stop)` to the frames as they are.
        transform: from `(H, W, 3) uint8` to the same of the new size.
    """

    def __init__(
        self,
        info: VideoInfo,
        frames: Callable[[int, int], Iterator[np.ndarray]],
        transform: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self.info, self._frames, self._transform = info, frames, transform

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1`, transformed."""
        return map(self._transform, self._frames(start, stop))
