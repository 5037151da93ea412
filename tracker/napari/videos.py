"""Videos as napari's Image layers, and such layers as videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from tracker.errors import UserError
from tracker.memory import BoundedMemory
from tracker.video.arrays import ArraySource
from tracker.video.loading import load_video
from tracker.video.source import DEFAULT_FPS, VideoInfo
from tracker.video.video import Video

if TYPE_CHECKING:
    from napari.layers import Image

MEMORY = 512 * 2**20
"""Bytes of decoded frames that are kept of a file, so that one can go to and fro."""

AHEAD = 8
"""Frames that are decoded at once, for who looks at one mostly looks at the next."""

BEE = Path(__file__).parent.parent / "assets" / "demo" / "bee.mp4"

LayerData = tuple[Any, dict[str, Any], str]
"""Data, options and type of a layer, as napari's readers return them."""


class VideoArray:
    """A video file in the shape of an array; a frame is decoded when it is looked at.

    Args:
        path: of the file.

    Raises:
        UserError: it cannot be read.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._video = self.reopened()
        self._lock = Lock()
        self._kept = BoundedMemory(MEMORY)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(T, H, W, 3)`."""
        width, height = self._video.size
        return len(self._video), height, width, 3

    def reopened(self) -> Video:
        """Return the video, opened anew: every reader needs a decoder of its own."""
        return load_video(self._path)

    def __len__(self) -> int:
        return len(self._video)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return what NumPy would."""
        first, *rest = index if isinstance(index, tuple) else (index,)
        if isinstance(first, int | np.integer):
            return self._frame(range(len(self))[int(first)])[tuple(rest)]
        frames = np.stack([self._frame(t) for t in np.arange(len(self))[first].tolist()])
        return frames[(slice(None), *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._video.read(), dtype, copy=copy)

    def _frame(self, t: int) -> np.ndarray:
        with self._lock:
            frame: np.ndarray | None = self._kept.find(t)
            if frame is None:
                for number, decoded in enumerate(self._video.frames(t, t + AHEAD), start=t):
                    self._kept.keep(number, decoded, decoded.nbytes)
                    frame = decoded if number == t else frame
        if frame is None:
            raise UserError(f"frame {t} of {self._video.name} cannot be decoded")
        return frame


class GraySource:
    """Frames of one channel, as napari shows them between its contrast limits.

    Args:
        array: `(T, H, W)`, read a frame at a time.
        limits: values that are shown black and white.
        name: of the layer.
    """

    def __init__(self, array: Any, limits: tuple[float, float], name: str) -> None:
        self._array, self._limits = array, limits
        length, height, width = array.shape
        self.info = VideoInfo(name, (width, height), length, DEFAULT_FPS)

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1` as `(H, W, 3) uint8`."""
        low, high = self._limits
        for index in range(start, stop):
            share = (np.asarray(self._array[index], np.float64) - low) / max(high - low, 1e-12)
            gray = np.rint(255 * np.clip(np.nan_to_num(share), 0, 1)).astype(np.uint8)
            yield np.repeat(gray[..., None], 3, axis=-1)


def data_of(layer: Image) -> Any:
    """Return a layer's array, of several resolutions the finest."""
    return layer.data[0] if layer.multiscale else layer.data


def video_of(layer: Image) -> Video:
    """Return the frames of a layer as a video; they are read when they are needed.

    Raises:
        UserError: it is no video: not frames, rows and columns of one channel or of colours.
    """
    data = data_of(layer)
    if isinstance(data, VideoArray):
        return data.reopened()
    shape = tuple(data.shape)
    if len(shape) != (4 if layer.rgb else 3):
        raise UserError(
            f"layer {layer.name!r} has shape {shape}; a video is (frames, rows, columns), and 3 "
            "more for colours: take one of its planes or channels"
        )
    if layer.rgb:
        return Video(ArraySource(data, DEFAULT_FPS, layer.name))
    low, high = layer.contrast_limits
    return Video(GraySource(data, (low, high), layer.name))


def get_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return what reads a video file; None for several, as napari's readers do."""
    return video_layers if isinstance(path, str) else None


def video_layers(path: str) -> list[LayerData]:
    """Return an Image layer of a video file.

    Raises:
        UserError: it cannot be read.
    """
    options = {"name": Path(path).stem, "rgb": True, "axis_labels": ("frame", "y", "x")}
    return [(VideoArray(path), options, "image")]


def bee_layers() -> list[LayerData]:
    """Return the clip of the demo, as napari's samples are returned."""
    return video_layers(str(BEE))
