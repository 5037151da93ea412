"""Frames from arrays in memory or mapped from a file, and frames of another source, changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import numpy as np

from tracker.errors import UserError
from tracker.video.pictures import picture_values, read_picture, to_rgb, white_level
from tracker.video.source import VideoInfo

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

CHANNELS = (1, 3, 4)
SAMPLES = 9
"""Frames, spread over an array, that say whether its white is 1 or 255."""

SHAPES = "(T, H, W, 3), (T, H, W) or, for one picture, (H, W, 3)"


class ArraySource:
    """Frames from an array or memory-mapped `.npy`, converted a frame at a time.

    Args:
        array: `(T, H, W, C)` with 1, 3 or 4 channels, `(T, H, W)`, or `(H, W, C)` with 3 or 4: one
            picture. bool, uint8, uint16, or floats in 0..1, 0..255 or 0..65535.
        fps: frames per second.
        name: for messages.

    Raises:
        UserError: it is none of these, or empty.
    """

    def __init__(self, array: np.ndarray, fps: float, name: str) -> None:
        if array.ndim == 3 and array.shape[2] in (3, 4):
            array = array[None]
        shape = array.shape
        if array.ndim not in (3, 4) or (array.ndim == 4 and shape[3] not in CHANNELS):
            raise UserError(f"{name} has shape {shape}; frames must be {SHAPES}")
        if 0 in shape:
            raise UserError(f"{name} has shape {shape}, which holds no pixels")
        kinds = (bool, np.uint8, np.uint16)
        if array.dtype not in kinds and not np.issubdtype(array.dtype, np.floating):
            raise UserError(
                f"{name} has type {array.dtype}; use uint8, uint16, or float in 0..1 or 0..255"
            )
        self._array = array
        chosen = np.unique(np.linspace(0, shape[0] - 1, SAMPLES).astype(int))
        self._white = white_level((np.asarray(array[i]) for i in chosen), name)
        self.info = VideoInfo(name, (shape[2], shape[1]), shape[0], float(fps), codec="array")

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1` as `(H, W, 3) uint8`.

        Raises:
            UserError: pixels outside the range of the other frames, or not numbers.
        """
        for index in range(start, stop):
            frame = np.asarray(self._array[index])
            yield to_rgb(frame, self._white, f"frame {index} of {self.info.name}")


def is_tensor(source: object) -> TypeGuard[Tensor]:
    """Return whether something is a torch tensor; torch is not loaded to find out."""
    return type(source).__module__.partition(".")[0] == "torch"


def tensor_frames(tensor: Tensor) -> np.ndarray:
    """Return frames with their channels last, of a tensor on any device.

    Args:
        tensor: `(T, C, H, W)` as torch has them, `(1, T, C, H, W)`, `(T, H, W, C)` or `(T, H, W)`.

    Raises:
        UserError: it is none of these.
    """
    import torch

    array: np.ndarray = (
        tensor.detach().cpu().to(torch.float32 if tensor.is_floating_point() else None).numpy()
    )
    shape = tuple(array.shape)
    if array.ndim == 5 and shape[0] == 1:
        array = array[0]
    if array.ndim == 4 and array.shape[1] in CHANNELS:
        return np.moveaxis(array, 1, -1)
    if array.ndim == 3 and array.shape[0] in CHANNELS:
        raise UserError(
            f"a tensor of shape {shape} may be one picture or {shape[0]} gray frames; give "
            "(T, 3, H, W), for one picture tensor[None]"
        )
    if array.ndim not in (3, 4):
        raise UserError(f"a tensor has shape {shape}; frames must be (T, 3, H, W)")
    return array


def array_of_frames(frames: np.ndarray | Tensor | Sequence[Any]) -> np.ndarray:
    """Return frames in memory as one array with its channels last, whatever held them.

    Raises:
        UserError: a tensor of another shape, or a list of other things.
    """
    if is_tensor(frames):
        return tensor_frames(frames)
    if isinstance(frames, np.ndarray):
        return frames
    return listed_frames(cast("Sequence[Any]", frames))  # `is_tensor` rules nothing out for mypy


def listed_frames(frames: Sequence[Any]) -> np.ndarray:
    """Stack a list of pictures: arrays, tensors `(3, H, W)`, Pillow images or files of images.

    Raises:
        UserError: there are none; one is something else, or of another shape than the first.
    """
    if len(frames) == 0:
        raise UserError("the list of frames is empty; give at least one picture")
    values = [_listed_frame(frame, index) for index, frame in enumerate(frames)]
    first = values[0]
    for index, value in enumerate(values):
        if (value.shape, value.dtype) != (first.shape, first.dtype):
            raise UserError(
                f"frame {index} of the list has shape {value.shape} and type {value.dtype}, but "
                f"frame 0 {first.shape} and {first.dtype}; make them alike"
            )
    return np.stack(values)


def _listed_frame(frame: Any, index: int) -> np.ndarray:
    if isinstance(frame, str | Path):
        return read_picture(frame)
    if type(frame).__module__.startswith("PIL."):
        return picture_values(cast("Image.Image", frame))
    if is_tensor(frame):
        if frame.ndim == 3 and frame.shape[0] in CHANNELS:
            return tensor_frames(frame[None])[0]
        frame = frame.detach().cpu().numpy()
    if isinstance(frame, np.ndarray) and frame.ndim in (2, 3):
        return frame
    shape = f" of shape {frame.shape}" if hasattr(frame, "shape") else ""
    raise UserError(
        f"frame {index} of the list is {type(frame).__name__}{shape}; give pictures (H, W, 3), "
        "Pillow images or names of image files"
    )


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
