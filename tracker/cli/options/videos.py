"""Which videos `track` reads, and which frames of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from tracker.errors import UserError
from tracker.video.image_files import files_of_pattern, is_image
from tracker.video.loading import load_video
from tracker.video.video import Video


def add_video_options(command: argparse.ArgumentParser) -> None:
    """Add the videos, and the options that `open_video` reads."""
    command.add_argument(
        "videos",
        nargs="+",
        metavar="VIDEO",
        help="a video file, a folder of images, a pattern of images such as shot_%%04d.png or "
        "'shot_*.png', a .npy array; several of them, or a pattern of video files such as "
        "'clips/*.mp4', are tracked one after another",
    )
    add_frame_options(command)


def add_frame_options(command: argparse.ArgumentParser) -> None:
    """Add the options that say which frames of a video are read, and how."""
    frames = command.add_argument_group("which frames")
    frames.add_argument("--start", type=int, default=0, metavar="T", help="first frame to read")
    frames.add_argument("--stop", type=int, metavar="T", help="frame to stop before")
    frames.add_argument("--stride", type=int, default=1, metavar="S", help="read every S-th frame")
    frames.add_argument("--fps", type=float, metavar="R", help="rate of a folder or array")
    frames.add_argument(
        "--deinterlace", action="store_true", help="interpolate every other line of each frame"
    )


def open_video(name: str, args: argparse.Namespace) -> Video:
    """Open one of `find_videos`, as the options say.

    Raises:
        UserError: as `load_video`.
    """
    return load_video(name, args.start, args.stop, args.stride, args.fps, args.deinterlace)


def find_videos(given: Sequence[str]) -> list[str]:
    """Return the videos that are named; a pattern of files that are not images names each of them.

    Raises:
        UserError: several images, which a shell makes of a pattern without quotes.
    """
    if len(given) > 1 and all(is_image(Path(name)) and os.path.isfile(name) for name in given):
        suffix = Path(given[0]).suffix
        raise UserError(
            f"{len(given)} images are named one by one; for one video of them name their folder, "
            f"or put the pattern into quotes, such as '*{suffix}'"
        )
    videos = [video for name in given for video in _named_by(name)]
    return list(dict.fromkeys(videos))


def _named_by(name: str) -> list[str]:
    path = os.path.expanduser(name)
    if "://" in name or os.path.exists(path):
        return [name]
    try:
        files = files_of_pattern(path)
    except UserError:
        return [name]  # told when it is opened, as what goes wrong with one video
    if not files or all(is_image(file) for file in files):
        return [name]
    return [str(file) for file in files]
