"""Frames from image files: a folder of them, a numbered pattern, a glob or a list."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from tracker.errors import UserError
from tracker.video.pictures import read_picture, to_rgb, white_level
from tracker.video.source import VideoInfo

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}

NUMBERED = re.compile(r"%0?(\d*)d")
"""The place of a frame's number in a pattern such as `frame_%04d.png`."""


class ImageFilesSource:
    """Image files as frames, all of one size.

    Args:
        paths: in order.
        fps: frames per second.
        name: of the whole, for messages and output names.

    Raises:
        UserError: while reading, too: a damaged image, or one of another size.
    """

    def __init__(self, paths: Sequence[Path], fps: float, name: str) -> None:
        self._paths = paths
        height, width = self._read(paths[0]).shape[:2]
        self.info = VideoInfo(name, (width, height), len(paths), float(fps), codec="images")

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1` as `(H, W, 3) uint8`.

        Raises:
            UserError: an image is damaged or of another size.
        """
        width, height = self.info.size
        for path in self._paths[start:stop]:
            frame = self._read(path)
            if frame.shape[:2] != (height, width):
                raise UserError(
                    f"{path} is {frame.shape[1]}x{frame.shape[0]} but the first image, "
                    f"{self._paths[0]}, is {width}x{height}; make all frames one size"
                )
            yield frame

    def _read(self, path: Path) -> np.ndarray:
        values = read_picture(path)
        white = 255.0 if values.dtype == np.uint8 else self._white
        return to_rgb(values, white, f"image {path}")

    @cached_property
    def _white(self) -> float:
        """The white level of images that 8 bits do not hold, from the first, middle and last."""
        last = len(self._paths) - 1
        samples = [read_picture(self._paths[i]) for i in sorted({0, last // 2, last})]
        deep = [sample for sample in samples if sample.dtype != np.uint8]
        return white_level(deep, str(self._paths[0].parent)) if deep else 65535


def images_in(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order, `frame2` before `frame10`.

    Hidden files are not among them, nor what macOS and Windows leave beside pictures.

    Raises:
        UserError: there are none.
    """
    paths = [path for path in folder.iterdir() if is_image(path)]
    if not paths:
        raise UserError(
            f"folder {folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}); "
            "name a video file or a folder of frames"
        )
    return sorted(paths, key=natural_key)


def is_image(path: Path) -> bool:
    """Return whether a path has the name of an image that is not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def files_of_pattern(pattern: str) -> list[Path]:
    """Return the files that a glob or a numbered pattern such as `frame_%04d.png` names, in order.

    Empty for what is no pattern.

    Raises:
        UserError: it is a pattern, but no file has such a name.
    """
    numbered = NUMBERED.search(Path(pattern).name)
    if numbered:
        digits = rf"\d{{{numbered[1]},}}" if numbered[1] else r"\d+"
        before, after = NUMBERED.split(Path(pattern).name, maxsplit=1)[::2]
        name = re.compile(re.escape(before) + digits + re.escape(after))
        folder = Path(pattern).parent
        found = [p for p in folder.glob("*") if name.fullmatch(p.name)]
    elif glob.has_magic(pattern):
        found = [Path(p) for p in glob.glob(pattern, recursive=True) if Path(p).is_file()]
    else:
        return []
    if not found:
        raise UserError(f"no file is named as the pattern {pattern} says; check folder and digits")
    return sorted(found, key=natural_key)


def natural_key(path: Path) -> list[list[tuple[int, int | str]]]:
    """Return what paths are sorted by, so that numbers in names count as numbers."""
    return [
        [(0, int(p)) if p.isdecimal() else (1, p) for p in re.split(r"(\d+)", part)]
        for part in path.parts
    ]
