"""Encoding frames as a video file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tracker.errors import UserError
from tracker.files import atomic_path


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: float,
    on_frame: Callable[[], None] = lambda: None,
) -> int:
    """Encode frames as H.264 with the ffmpeg that imageio-ffmpeg brings.

    Args:
        path: the file to write; replaced only when the whole video is encoded.
        frames: `(H, W, 3) uint8` RGB frames, all of one size. A last odd row or column is
            repeated once, because players need even sizes.
        fps: frames per second.
        on_frame: called after each frame, for a progress bar.

    Returns:
        The number of frames written.

    Raises:
        UserError: the encoder failed (full disk, no permission); nothing is left behind.
    """
    import imageio_ffmpeg
    import mediapy

    mediapy.set_ffmpeg(imageio_ffmpeg.get_ffmpeg_exe())
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise UserError(f"no frames to write to {path}")
    height, width = first.shape[:2]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    shape = (height + height % 2, width + width % 2)
    count = 0
    with atomic_path(path) as partial:
        try:
            with mediapy.VideoWriter(partial, shape, fps=fps, crf=20) as writer:
                while first is not None:
                    writer.add_image(np.pad(first, padding, mode="edge"))
                    count += 1
                    on_frame()
                    first = next(iterator, None)
        except RuntimeError as error:
            reason = (str(error).strip().splitlines() or ["unknown"])[-1]
            raise OSError(None, f"the encoder stopped: {reason}") from error
    return count
