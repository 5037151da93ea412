"""Frames from one image file: an animated WebP or PNG, the pages of a TIFF, a single picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracker.errors import UserError
from tracker.files import UNREADABLE_IMAGE
from tracker.video.pictures import picture_values, read_picture, to_rgb, white_level
from tracker.video.source import DEFAULT_FPS, VideoInfo

if TYPE_CHECKING:
    from PIL import Image


class PagesSource:
    """The pictures of one image file, read by Pillow.

    FFmpeg's decoders know neither animated WebP nor more than the first page of a TIFF.

    Args:
        path: of the file.
        fps: frames per second; None takes what the file says, else `DEFAULT_FPS`.

    Raises:
        UserError: it is no image, or damaged; while reading, a page of another size.
    """

    def __init__(self, path: Path, fps: float | None) -> None:
        from PIL import Image

        self._path = path
        try:
            with Image.open(path) as image:
                count, codec = getattr(image, "n_frames", 1), str(image.format).lower()
                seconds = list(_durations(image)) if count > 1 else []
        except UNREADABLE_IMAGE:
            read_picture(path)  # some that Pillow does not know can be read, as single pictures
            count, codec, seconds = 1, path.suffix[1:], []
        rate = len(seconds) / sum(seconds) if sum(seconds) > 0 else DEFAULT_FPS
        first, middle, last = (self._page(i) for i in (0, (count - 1) // 2, count - 1))
        self._white = white_level([first, middle, last], str(path))
        self.info = VideoInfo(
            path.name,
            (first.shape[1], first.shape[0]),
            count,
            float(fps or rate),
            variable_frame_rate=len(set(seconds)) > 1,
            codec=codec,
        )

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1` as `(H, W, 3) uint8`.

        Raises:
            UserError: a page is damaged or of another size.
        """
        width, height = self.info.size
        for index, page in enumerate(self._pages(start, stop), start):
            if page.shape[:2] != (height, width):
                raise UserError(
                    f"page {index} of {self._path} is {page.shape[1]}x{page.shape[0]} but page 0 "
                    f"is {width}x{height}; make all pages one size"
                )
            white = 255.0 if page.dtype == np.uint8 else self._white
            yield to_rgb(page, white, f"page {index} of {self._path}")

    def _page(self, index: int) -> np.ndarray:
        return next(self._pages(index, index + 1))

    def _pages(self, start: int, stop: int) -> Iterator[np.ndarray]:
        from PIL import Image, ImageOps

        if stop == 1:
            yield read_picture(self._path)
            return
        index = start
        try:
            with Image.open(self._path) as image:
                for index in range(start, stop):
                    image.seek(index)
                    yield picture_values(ImageOps.exif_transpose(image))
        except (*UNREADABLE_IMAGE, EOFError) as error:
            raise UserError(
                f"{self._path} can only be read up to page {index - 1}; read it with stop {index}"
            ) from error


def _durations(image: Image.Image) -> Iterator[float]:
    """Yield for how many seconds each picture of an animation is shown; 0 where nothing says so."""
    for index in range(getattr(image, "n_frames", 1)):
        image.seek(index)
        image.load()
        yield float(image.info.get("duration") or 0) / 1000
