"""From pictures as programs and cameras store them to `(H, W, 3) uint8`.

Grey pictures of 12, 16 and 32 bits and of floats are scaled by the range of their type, transparent
ones are laid on black, and everything else goes through Pillow's own conversion.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracker.errors import UserError, log
from tracker.files import UNREADABLE_IMAGE

if TYPE_CHECKING:
    from PIL import Image

BITS_PER_SAMPLE = 258
"""TIFF's tag that tells 12 bits from 16."""


def read_picture(path: str | Path) -> np.ndarray:
    """Read an image file, turned upright, with the values that it stores.

    Returns:
        As `picture_values`; `(H, W, 3) float32` from a TIFF of such colours.

    Raises:
        UserError: it cannot be read.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return picture_values(ImageOps.exif_transpose(image))
    except UNREADABLE_IMAGE as error:
        values = _read_tiff(Path(path))
        if values is None:
            raise UserError(f"image {path} cannot be read; replace or remove it") from error
        return values


def _read_tiff(path: Path) -> np.ndarray | None:
    """Read a TIFF of a kind that Pillow does not know, such as colours in floats."""
    import cv2

    if path.suffix.lower() not in (".tif", ".tiff") or not path.is_file():
        return None
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim == 2:
        return values
    return cv2.cvtColor(values[..., :3], cv2.COLOR_BGR2RGB)


def picture_values(image: Image.Image) -> np.ndarray:
    """Return the pixels of a picture.

    Returns:
        `(H, W, 3) uint8`; or, where 8 bits would not hold them, `(H, W)` of uint16, int32 or
        float32. Those of 12 bits are float32 in 0..1.
    """
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image)
        if values.dtype.itemsize == 2:
            values = values.astype(np.uint16)  # of the machine's byte order
            if _bits(image) == 12:
                return values.astype(np.float32) / 4095
        return values
    if image.has_transparency_data:
        return on_black(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def _bits(image: Image.Image) -> int | None:
    bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (None,))
    return bits[0] if isinstance(bits, tuple) else bits


def on_black(frame: np.ndarray) -> np.ndarray:
    """Lay a transparent `(H, W, 4) uint8` picture on black."""
    alpha = frame[..., 3:].astype(np.uint16)
    return ((frame[..., :3] * alpha + 127) // 255).astype(np.uint8)


def white_level(samples: Iterable[np.ndarray], name: str) -> float:
    """Return the value that stands for white in frames of one source.

    Args:
        samples: some of the frames, all of one type.
        name: of the source, for messages.

    Returns:
        Of unsigned integers the largest, 4095 where 16 bits hold no more than 12; of floats and
        int32 the smallest of 1, 255 and 65535 that is not less than any sample.

    Raises:
        UserError: samples are outside 0..65535, or not numbers.
    """
    frames = list(samples)
    kind = frames[0].dtype
    if kind == np.bool_:
        return 1
    if kind == np.uint8:
        return 255
    peak = max(float(frame.max()) for frame in frames)
    if kind == np.uint16:
        if 0 < peak <= 4095:
            log.warning("%s has 16 bits but uses no more than 12: 4095 is taken for white", name)
            return 4095
        return 65535
    if not all(np.isfinite(frame).all() for frame in frames):
        raise UserError(f"{name} has NaN or infinite pixels; replace them by numbers")
    if min(float(frame.min()) for frame in frames) < 0 or peak > 65535:
        raise UserError(
            f"{name} has {kind} pixels outside 0..1 and 0..255; scale them to 0..1 or store uint8"
        )
    levels = (1, 255, 65535) if kind.kind == "f" else (255, 65535)
    return next(level for level in levels if peak <= level)


def to_rgb(frame: np.ndarray, white: float, name: str) -> np.ndarray:
    """Return a frame as `(H, W, 3) uint8`.

    Args:
        frame: `(H, W)`, or `(H, W, C)` with one, two (gray and alpha), three or four channels.
        white: the value that stands for white; what is above it in uint16 is white, too.
        name: of the frame, for messages.

    Raises:
        UserError: a pixel is not a number, or outside the range of the frames before.
    """
    if frame.dtype != np.uint8:
        if not np.isfinite(frame).all():
            raise UserError(f"{name} has NaN or infinite pixels")
        if frame.dtype != np.uint16 and (frame.min() < 0 or frame.max() > white):
            raise UserError(
                f"{name} has {frame.dtype} pixels outside 0..{white:g}, the range of other frames; "
                "give all frames one range, or store uint8"
            )
        scaled = np.minimum(frame.astype(np.float32) * np.float32(255 / white), 255)
        frame = np.round(scaled).astype(np.uint8)
    if frame.ndim == 2:
        frame = frame[..., None]
    if frame.shape[2] == 2:
        frame = frame[..., [0, 0, 0, 1]]
    if frame.shape[2] == 4:
        frame = on_black(frame)
    return np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))
