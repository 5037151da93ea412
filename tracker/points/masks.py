"""Masks: which pixels belong to an object, as people paint them and data sets store them.

- A picture in black and white: its white part, brighter than half, is one object.
- A label image, gray with small numbers (0 and 1; 0, 1, 2 ...): each number but 0 is an object.
- A palette image, as DAVIS, VOC and YouTube-VOS have: each index but 0 is an object, and 255, which
  VOC keeps for what nobody labelled, is none.
- A picture in a few flat colours on black: each colour is an object, counted in the order of VOC's
  palette (dark red, green, olive, blue ...).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tracker.errors import UserError
from tracker.files import UNREADABLE_IMAGE
from tracker.video.pictures import picture_values, read_picture, white_level

MOST_OBJECTS = 64
"""Pictures with more values than this are photographs, not labels."""

LOSSY = ("JPEG", "WEBP", "MPO")
"""Formats whose small numbers are noise."""

VOID = 255


def mask_objects(mask: str | Path | np.ndarray, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return the objects of a mask, each `(H, W) bool`, by name.

    Args:
        mask: an image file, `FILE:LABEL` for one object of it, or an `(H, W)` array, where non-zero
            is inside.
        size: `(W, H)` of the video in pixels, and so of the mask.

    Returns:
        The objects of a label image as `object1`, `object2` ...; a mask that is merely white on
        black, or an array, under the empty name.

    Raises:
        UserError: missing, unreadable, of another size, empty, or without that label.
    """
    if isinstance(mask, str | Path):
        objects, name = _read(str(mask)), str(mask)
    else:
        objects, name = {"": np.asarray(mask) > 0}, "array"
    for inside in objects.values():
        if inside.shape != (size[1], size[0]):
            raise UserError(
                f"mask {name} is {inside.shape[1]}x{inside.shape[0]} but the video is "
                f"{size[0]}x{size[1]}; resize the mask"
            )
    if not any(inside.any() for inside in objects.values()):
        raise UserError(f"mask {name} has no white part; paint the object white")
    return objects


def _read(mask: str) -> dict[str, np.ndarray]:
    path, label = mask, None
    found = re.fullmatch(r"(.+):(\d+)", mask)
    if found and not Path(mask).is_file():
        path, label = found[1], int(found[2])
    if not Path(path).is_file():
        raise UserError(f"mask {path} cannot be read: there is no such file; check the path")
    try:
        values, white = _values(path)
    except (UserError, *UNREADABLE_IMAGE) as error:
        raise UserError(f"mask {path} cannot be read as an image; give a PNG") from error
    if label is not None:
        if not (values == label).any():
            known = ", ".join(f"{value:g}" for value in np.unique(values)[:MOST_OBJECTS])
            raise UserError(f"mask {path} has no label {label}; it has {known}")
        return {f"object{label}": values == label}
    if white is None:
        labels = [int(value) for value in np.unique(values) if value != 0]
        if len(labels) > 1 and VOID in labels:
            labels.remove(VOID)
        return {f"object{label}": values == label for label in labels}
    # Half of full brightness: lossy formats and soft brushes leave the black not quite 0.
    return {"": values > white / 2}


def _values(path: str) -> tuple[np.ndarray, float | None]:
    """Return the values `(H, W)` of a mask, and which of them is white; None where they are labels.

    Raises:
        UserError: it cannot be read.
    """
    from PIL import Image

    with Image.open(path) as image:
        exact = image.format not in LOSSY
        if image.mode == "P" and not _is_gray(np.asarray(image.convert("RGB"))):
            return np.asarray(image), None
        if image.mode == "1":
            return np.asarray(image), 1
        values = np.asarray(image) if image.mode == "L" else picture_values(image)
    if values.ndim == 3 and values.dtype == np.uint8:
        if not _is_gray(values) and exact and (labels := _colour_labels(values)) is not None:
            return labels, None
        values = np.asarray(Image.fromarray(values).convert("L"))
    elif values.ndim == 3:
        values = read_picture(path).mean(axis=2)
    if exact and values.dtype == np.uint16 and _are_labels(values, 4095):
        return values, None  # numbers of objects: no brightness of 12 bits, which is warned of
    white = white_level([values], f"mask {path}")
    return values, None if exact and _are_labels(values, white) else white


def _is_gray(colours: np.ndarray) -> bool:
    """Return whether `(H, W, 3) uint8` colours are grays, but for the errors of lossy formats."""
    return bool((colours.max(axis=2).astype(int) - colours.min(axis=2) <= 16).all())


def _are_labels(values: np.ndarray, white: float) -> bool:
    """Return whether gray values are small numbers of objects rather than brightness."""
    found = np.unique(values)
    if found[-1] == 1 and white > 1:
        return True
    whole = bool((found == np.round(found)).all())
    return whole and found[0] == 0 and len(found) <= MOST_OBJECTS and 0 < found[-1] < white / 2


def _colour_labels(colours: np.ndarray) -> np.ndarray | None:
    """Number the flat colours of `(H, W, 3) uint8` from 1, black 0; None where they are many."""
    flat, inverse = np.unique(colours.reshape(-1, 3), axis=0, return_inverse=True)
    if len(flat) > MOST_OBJECTS or flat[0].any():
        return None
    # VOC spreads the bits of an index over red, green and blue, the lowest in each one's highest.
    bits = np.unpackbits(flat, axis=1).reshape(-1, 3, 8).transpose(0, 2, 1).reshape(-1, 24)
    order = np.argsort(np.argsort(bits @ (1 << np.arange(24))))
    return order[inverse.reshape(-1)].reshape(colours.shape[:2])
