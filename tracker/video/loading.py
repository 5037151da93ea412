"""Opening a video, whatever holds its frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tracker.errors import UserError
from tracker.video.arrays import ArraySource, array_of_frames, is_tensor
from tracker.video.decoder import FileSource
from tracker.video.image_files import (
    IMAGE_SUFFIXES,
    ImageFilesSource,
    files_of_pattern,
    images_in,
    is_image,
)
from tracker.video.pages import PagesSource
from tracker.video.source import DEFAULT_FPS, FrameSource, VideoInfo
from tracker.video.video import Video

if TYPE_CHECKING:
    from torch import Tensor

    VideoLike = str | Path | np.ndarray | Tensor | Sequence[Any] | Video


def load_video(
    source: VideoLike,
    start: int = 0,
    stop: int | None = None,
    stride: int = 1,
    fps: float | None = None,
    deinterlace: bool = False,
) -> Video:
    """Open a video without decoding it.

    Args:
        source: a file that ffmpeg knows, an image file, a folder of images (in natural order of
            their names), a pattern of image files such as `shot_%04d.png` or `shot_*.png`, a `.npy`
            file or array of shape `(T, H, W, 3)`, `(T, H, W)` or, for one picture, `(H, W, 3)`, a
            tensor `(T, 3, H, W)`, a list of pictures (arrays, Pillow images, file names), or a
            `Video`. Pixels are bool, uint8, uint16 or floats in 0..1 or 0..255.
        start: the first frame to keep.
        stop: the frame to stop before; None keeps all from `start` on.
        stride: keep every so manyth frame.
        fps: frames per second of folders and arrays, which do not say; 24 by default.
        deinterlace: interpolate every other line of the frames of an interlaced file.

    Returns:
        A `Video` whose frame 0 is frame `start` of the source.

    Raises:
        UserError: missing, empty, unreadable or not a video; or an empty range.
    """
    if fps is not None and not 0 < fps < np.inf:
        raise UserError(f"fps {fps} is not a rate; give a positive number of frames per second")
    if isinstance(source, Video):
        video = source
    else:
        opened = open_source(source, fps, deinterlace)
        if deinterlace and not isinstance(opened, FileSource):
            raise UserError("only video files can be deinterlaced; leave it out for images, arrays")
        video = Video(opened)
    return video.select(start, stop, stride)


def probe(path: str | Path) -> VideoInfo:
    """Read a video's size, length and rate; only its first frame is decoded, for its rotation.

    Raises:
        UserError: as `load_video`.
    """
    return load_video(path).info


def open_source(source: VideoLike, fps: float | None, deinterlace: bool = False) -> FrameSource:
    """Choose the reader for whatever holds frames.

    Raises:
        UserError: the path is missing, empty or nothing that holds frames.
    """
    rate = fps or DEFAULT_FPS
    if isinstance(source, str | Path):
        return _open_path(str(source), fps, deinterlace)
    if isinstance(source, np.ndarray | list | tuple) or is_tensor(source):
        name = "tensor" if is_tensor(source) else "array" if hasattr(source, "shape") else "list"
        return ArraySource(array_of_frames(source), rate, name)
    raise UserError(
        f"a video cannot be read from {type(source).__name__}; give a path, an array (T, H, W, 3), "
        "a tensor (T, 3, H, W) or a list of pictures"
    )


def _open_path(source: str, fps: float | None, deinterlace: bool) -> FrameSource:
    rate = fps or DEFAULT_FPS
    if not source:
        raise UserError("the video's name is empty; give the path of a file or folder")
    if "://" in source:
        raise UserError(f"{source} is an address; download it, and give the file")
    path = Path(os.path.expanduser(source))
    if not os.path.exists(path):  # False too for what cannot be a name, where Path raises
        files = files_of_pattern(str(path))
        if not files:
            raise UserError(f"video {path} does not exist; check the path")
        if all(is_image(file) for file in files):
            return ImageFilesSource(files, rate, name=files[0].resolve().parent.name)
        if len(files) > 1:
            raise UserError(
                f"the pattern {source} names {len(files)} files, of which {files[0]} is one; "
                "name one video, or images alone"
            )
        path = files[0]
    if path.is_dir():
        return ImageFilesSource(images_in(path), rate, name=path.resolve().name or str(path))
    if path.stat().st_size == 0:
        raise UserError(f"video {path} is empty (0 bytes); copy or download it again")
    if path.suffix == ".npy":
        return ArraySource(_map_npy(path), rate, name=path.name)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return PagesSource(path, fps)
    return FileSource(path, deinterlace)


def _map_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(
            f"{path} is not a readable .npy array of frames ({error}); save uint8 (T, H, W, 3)"
        ) from error
