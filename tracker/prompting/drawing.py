"""A picture of found objects: the frames with tinted, outlined and named masks."""

from __future__ import annotations

import cv2
import numpy as np

from tracker.points.drawing.colours import group_colours
from tracker.points.drawing.marks import write_text
from tracker.points.drawing.pictures import CELL_WIDTH, fit_width, in_rows
from tracker.prompting.objects import FoundObjects
from tracker.video.video import Video

TINT = 0.45
"""Share of an object's colour inside its mask."""


def object_sheet(video: Video, found: FoundObjects) -> np.ndarray:
    """Return one picture `(H, W, 3) uint8` of the frames that objects were found in."""
    times = [t for t in found.frames if found.seen_in(t)]
    return in_rows([_picture(video[t], found, t) for t in times], columns=4)


def _picture(frame: np.ndarray, found: FoundObjects, t: int) -> np.ndarray:
    picture = fit_width(frame, CELL_WIDTH)
    height, width = picture.shape[:2]
    colours = group_colours(len(found))
    letter = max(11.0, height / 24)
    seen = found.seen_in(t)
    for number, sighting in seen:
        mask = cv2.resize(
            sighting.mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
        )
        inside = mask > 0
        tinted = (1 - TINT) * picture[inside] + TINT * colours[number]
        picture[inside] = tinted.astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, colours[number].tolist(), 2, cv2.LINE_AA)
    for number, sighting in seen:  # after all masks, which would hide them
        corner = sighting.box[:2] * [width / frame.shape[1], height / frame.shape[0]]
        label = f"{found[number].name}: {sighting.score:.2f}"
        write_text(picture, label, corner + 0.4 * letter, letter)
    write_text(picture, f"frame {t}", (0.7 * letter, height - 1.7 * letter), letter)
    return picture
