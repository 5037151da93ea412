"""Reading video lazily and writing it.

One class, `Video`, hides where frames come from: a file that ffmpeg can decode (through PyAV),
image files, a `.npy` file or an array in memory. Frames are `(H, W, 3) uint8` RGB, upright
(rotation tags are honoured), and are read in chunks of bounded size, so that the length of a
video never decides how much memory is needed.

    video = load_video("clip.mp4", start=100, stop=400)
    for chunk in video.chunks():          # (T, H, W, 3) uint8
        ...

Frame numbers count from 0 at the first frame *of the range that was asked for*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import overload

import numpy as np

from tracker.errors import UserError
from tracker.video.arrays import ArraySource, MappedSource
from tracker.video.source import FrameSource, VideoInfo

CHUNK_BYTES = 48 * 2**20
"""Decoded frames held at once by `Video.chunks`; 70 frames of 640x360."""


class Video:
    """A video that can be read from any frame, any number of times, in chunks.

    Args:
        source: where frames come from.
        frame_range: which of the source's frames this video consists of.
    """

    def __init__(self, source: FrameSource, frame_range: range | None = None) -> None:
        self._source = source
        self._range = range(source.info.num_frames) if frame_range is None else frame_range

    @classmethod
    def from_array(cls, frames: np.ndarray, fps: float = 24.0, name: str = "array") -> Video:
        """Wrap frames as `ArraySource` takes them, such as `(T, H, W, 3) uint8`.

        Raises:
            UserError: the array has another shape or type, or no frames.
        """
        return cls(ArraySource(frames, fps=fps, name=name))

    @property
    def info(self) -> VideoInfo:
        """Facts about the whole source, before a range was taken."""
        return self._source.info

    @property
    def name(self) -> str:
        """File or folder name."""
        return self.info.name

    @property
    def size(self) -> tuple[int, int]:
        """`(W, H)` in pixels."""
        return self.info.size

    @property
    def num_frames(self) -> int:
        """Frames in the range that was asked for; `len(video)` is the same."""
        return len(self._range)

    @property
    def fps(self) -> float:
        """Frames per second of the range: less than the file's where a stride leaves frames out."""
        return self.info.fps / self._range.step

    @property
    def source_frames(self) -> range:
        """Which frames of the whole source these are, such as `range(100, 400, 2)`."""
        return self._range

    def __len__(self) -> int:
        return self.num_frames

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice) -> Video: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | Video:
        """Return a frame `(H, W, 3) uint8`, or the video of a slice of frames.

        Raises:
            IndexError: there is no such frame.
            UserError: the slice holds no frame, or its step is negative.
        """
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self.select(start, stop, step)
        start = range(len(self))[index]
        return self.read(start, start + 1)[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield all frames in order, each `(H, W, 3) uint8`."""
        return self.frames()

    def __repr__(self) -> str:
        width, height = self.size
        return f"Video({self.name!r}, {width}x{height}, {len(self)} frames, {self.fps:.3g} fps)"

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1`, each `(H, W, 3) uint8` RGB."""
        chosen = self._range[start:stop]
        if len(chosen) == 0:
            return iter(())
        stream = self._source.frames(chosen[0], chosen[-1] + 1)
        return islice(stream, 0, None, chosen.step)

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Return frames `start..stop-1` as one array `(T, H, W, 3) uint8`."""
        width, height = self.size
        frames = list(self.frames(start, stop))
        return np.stack(frames) if frames else np.empty((0, height, width, 3), np.uint8)

    @property
    def chunk_length(self) -> int:
        """Frames in a chunk of about `CHUNK_BYTES`."""
        width, height = self.size
        return max(1, CHUNK_BYTES // (width * height * 3))

    def chunks(self, length: int | None = None) -> Iterator[np.ndarray]:
        """Yield the video in order as `(T, H, W, 3)` arrays of at most `length` frames."""
        frames = self.frames()
        while chunk := list(islice(frames, length or self.chunk_length)):
            yield np.stack(chunk)

    def reversed_frames(self, start: int) -> Iterator[np.ndarray]:
        """Yield frames `start, start-1, ..., 0`; holds one chunk at a time."""
        stop = start + 1
        while stop > 0:
            begin = max(0, stop - self.chunk_length)
            yield from self.read(begin, stop)[::-1]
            stop = begin

    def select(self, start: int = 0, stop: int | None = None, stride: int = 1) -> Video:
        """Return the video of every `stride`-th frame of `start..stop-1`.

        Raises:
            UserError: the range holds no frame.
        """
        if stride < 1:
            raise UserError(f"stride {stride} is not a positive number of frames")
        counted = start >= 0 and (stop is None or stop >= 0)
        chosen = self._range[slice(start, stop, stride)] if counted else range(0)
        if len(chosen) == 0:
            raise UserError(
                f"no frames from {start} to {'the end' if stop is None else stop} in {self.name}, "
                f"which has frames 0..{len(self) - 1}"
            )
        return Video(self._source, chosen)

    def through(self, around: Callable[[FrameSource], FrameSource]) -> Video:
        """Return the same frames, read through what is laid around their source."""
        return Video(around(self._source), self._range)

    def resized(self, size: tuple[int, int]) -> Video:
        """Return the same frames resized to `size` `(W, H)` as they are read.

        Uses mediapy's Lanczos filter, as TAP-Vid's published protocol does.
        """
        import mediapy

        width, height = size
        info = VideoInfo(self.name, size, len(self), self.fps, codec=self.info.codec)
        return Video(
            MappedSource(info, self.frames, lambda f: mediapy.resize_image(f, (height, width)))
        )
