"""Encoding frames as a video file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from tracker.errors import UserError
from tracker.files import partial_path, writing_errors

if TYPE_CHECKING:
    from types import TracebackType

    import mediapy


class VideoFile:
    """A video file that grows frame by frame, as H.264 by the ffmpeg that imageio-ffmpeg brings.

    It takes its name, or the place of an older file, when `finish` is called. Used by `with`, it
    is finished at the end, or thrown away where something fails.

    Args:
        path: of the file.
        fps: frames per second.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self.path, self._fps = Path(path), fps
        self._partial = partial_path(self.path)
        self._writer: mediapy.VideoWriter | None = None
        self.num_frames = 0

    def add(self, frame: np.ndarray) -> None:
        """Encode the next frame.

        Args:
            frame: `(H, W, 3) uint8` RGB, of one size with the others. A last odd row or column is
                repeated once, because players need even sizes.

        Raises:
            UserError: the encoder failed (full disk, no permission).
        """
        height, width = frame.shape[:2]
        with self._encoding():
            if self._writer is None:
                import imageio_ffmpeg
                import mediapy

                mediapy.set_ffmpeg(imageio_ffmpeg.get_ffmpeg_exe())
                shape = (height + height % 2, width + width % 2)
                self._writer = mediapy.VideoWriter(self._partial, shape, fps=self._fps, crf=20)
                self._writer.__enter__()
            padding = ((0, height % 2), (0, width % 2), (0, 0))
            self._writer.add_image(np.pad(frame, padding, mode="edge"))
        self.num_frames += 1

    def finish(self) -> None:
        """Give the file its name.

        Raises:
            UserError: it has no frames, or the encoder failed.
        """
        if self._writer is None:
            raise UserError(f"no frames to write to {self.path}")
        with self._encoding():
            self._writer.close()
            self._partial.replace(self.path)

    def discard(self) -> None:
        """Leave nothing behind of a file that is not finished."""
        if self._writer is not None:
            with suppress(RuntimeError, OSError):
                self._writer.close()
        with suppress(OSError):
            self._partial.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self.discard()

    @contextmanager
    def _encoding(self) -> Iterator[None]:
        with writing_errors(self.path):
            try:
                yield
            except RuntimeError as error:
                reason = (str(error).strip().splitlines() or ["unknown"])[-1]
                raise OSError(None, f"the encoder stopped: {reason}") from error


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: float,
    on_frame: Callable[[], None] = lambda: None,
) -> int:
    """Encode frames as `VideoFile` does.

    Args:
        path: the file to write; replaced only when the whole video is encoded.
        frames: `(H, W, 3) uint8` RGB frames, all of one size.
        fps: frames per second.
        on_frame: called after each frame, for a progress bar.

    Returns:
        The number of frames written.

    Raises:
        UserError: the encoder failed (full disk, no permission); nothing is left behind.
    """
    with VideoFile(path, fps) as file:
        for frame in frames:
            file.add(frame)
            on_frame()
    return file.num_frames
