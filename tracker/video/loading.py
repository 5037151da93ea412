"""Opening a video, whatever holds its frames."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tracker.errors import UserError
from tracker.video.arrays import ArraySource
from tracker.video.decoder import FileSource
from tracker.video.image_folder import ImageFolderSource
from tracker.video.source import DEFAULT_FPS, FrameSource, VideoInfo
from tracker.video.video import Video


def load_video(
    source: str | Path | np.ndarray | Video,
    start: int = 0,
    stop: int | None = None,
    stride: int = 1,
    fps: float | None = None,
) -> Video:
    """Open a video without decoding it.

    Args:
        source: a file that ffmpeg knows, a folder of images (in natural order of their names),
            a `.npy` file or array of shape `(T, H, W, 3)` or `(T, H, W)`, or a `Video`.
        start: the first frame to keep.
        stop: the frame to stop before; None keeps all from `start` on.
        stride: keep every so manyth frame.
        fps: frames per second of folders and arrays, which do not say; 24 by default.

    Returns:
        A `Video` whose frame 0 is frame `start` of the source.

    Raises:
        UserError: missing, empty, unreadable or not a video; or an empty range.
    """
    if fps is not None and not 0 < fps < np.inf:
        raise UserError(f"fps {fps} is not a rate; give a positive number of frames per second")
    video = source if isinstance(source, Video) else Video(open_source(source, fps))
    return video.select(start, stop, stride)


def probe(path: str | Path) -> VideoInfo:
    """Read a video's size, length and rate; only its first frame is decoded, for its rotation.

    Raises:
        UserError: as `load_video`.
    """
    return load_video(path).info


def open_source(source: str | Path | np.ndarray, fps: float | None) -> FrameSource:
    """Choose the reader for a path or array.

    Raises:
        UserError: the path is missing, empty or nothing that holds frames.
    """
    if isinstance(source, np.ndarray):
        return ArraySource(source, fps=fps or DEFAULT_FPS, name="array")
    path = Path(source)
    if not os.path.exists(path):  # False too for what cannot be a name, where Path raises
        raise UserError(f"video {path} does not exist; check the path")
    if path.is_dir():
        return ImageFolderSource(path, fps=fps or DEFAULT_FPS)
    if path.stat().st_size == 0:
        raise UserError(f"video {path} is empty (0 bytes); copy or download it again")
    if path.suffix == ".npy":
        return ArraySource(_map_npy(path), fps=fps or DEFAULT_FPS, name=path.name)
    return FileSource(path)


def _map_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is not a readable .npy array of frames ({error})") from error
