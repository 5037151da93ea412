"""Frames from a folder of images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tracker.errors import UserError
from tracker.files import UNREADABLE_IMAGE
from tracker.video.source import VideoInfo

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}


class ImageFolderSource:
    """A folder of images in natural order (`frame2` before `frame10`), all of one size.

    Raises:
        UserError: no images; or, while reading, a damaged image or one of another size.
    """

    def __init__(self, folder: Path, fps: float) -> None:
        paths = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES]
        if not paths:
            raise UserError(
                f"folder {folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}); "
                "name a video file or a folder of frames"
            )
        self._paths = sorted(paths, key=_natural_key)
        height, width = self._read(self._paths[0]).shape[:2]
        self.info = VideoInfo(
            folder.name or str(folder), (width, height), len(paths), float(fps), codec="images"
        )

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
                    f"{path} is {frame.shape[1]}x{frame.shape[0]} but the first image of its "
                    f"folder is {width}x{height}; make all frames one size"
                )
            yield frame

    @staticmethod
    def _read(path: Path) -> np.ndarray:
        from PIL import Image, ImageOps

        try:
            with Image.open(path) as image:
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except UNREADABLE_IMAGE as error:
            raise UserError(f"image {path} cannot be read; replace or remove it") from error


def _natural_key(path: Path) -> list[tuple[int, int | str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(p)) if p.isdigit() else (1, p) for p in parts]
