"""Whole videos and sheets of drawn frames, and their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tracker.errors import UserError
from tracker.files import atomic_path
from tracker.points.drawing.colours import point_colours
from tracker.points.drawing.marks import DrawingStyle, draw_tracks, write_text
from tracker.points.tracks import Tracks
from tracker.video.video import Video

SMALLEST_SIDE = 480

LONGEST_SIDE = 4096
"""Smaller videos are enlarged by a whole factor, so that dots do not hide what they mark,
as long as encoders still take them."""

CELL_WIDTH = 480
"""Pixels, of a contact sheet."""


def overlay(
    video: Video, tracks: Tracks, truth: Tracks | None = None, style: DrawingStyle | None = None
) -> Iterator[np.ndarray]:
    """Yield every frame with its tracks.

    Args:
        video: of any size; small ones are enlarged.
        tracks: of the video, in pixels of whatever size.
        truth: drawn at the right of the tracks, each point in the same colour.
        style: how points are drawn; None as by default.

    Yields:
        `(H, W, 3) uint8`.
    """
    colours = point_colours(tracks)
    for t, frame in enumerate(video.frames()):
        enlarged = enlarge(frame)
        picture = draw_tracks(enlarged, tracks, t, style, colours)
        if truth is not None:
            divider = np.full((picture.shape[0], 4, 3), 255, np.uint8)
            right = draw_tracks(enlarged, truth, t, style, colours)
            _label(picture, "predicted")
            _label(right, "true")
            picture = np.concatenate([picture, divider, right], axis=1)
        yield picture


def enlarge(frame: np.ndarray) -> np.ndarray:
    """Return a frame `(H, W, 3)` that is large enough to be drawn into."""
    shorter, longer = sorted(frame.shape[:2])
    factor = min(-(-SMALLEST_SIDE // shorter), LONGEST_SIDE // longer)
    if factor <= 1:
        return frame
    return cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def _label(picture: np.ndarray, text: str) -> None:
    height = max(14, min(picture.shape[:2]) / 40)
    write_text(picture, text, (0.7 * height, 0.7 * height), height)


def contact_sheet(
    video: Video,
    tracks: Tracks,
    columns: int = 4,
    rows: int = 2,
    style: DrawingStyle | None = None,
) -> np.ndarray:
    """Return one picture of `columns` x `rows` frames spread evenly over the video."""
    count = min(columns * rows, len(video))
    times = np.unique(np.linspace(0, len(video) - 1, count).round().astype(int))
    colours = point_colours(tracks)
    cells = []
    for t in times:
        frame = video.read(t, t + 1)[0]
        height = round(frame.shape[0] * CELL_WIDTH / frame.shape[1])
        way = cv2.INTER_AREA if frame.shape[1] > CELL_WIDTH else cv2.INTER_CUBIC
        cell = cv2.resize(frame, (CELL_WIDTH, max(height, 1)), interpolation=way)
        cells.append(draw_tracks(cell, tracks, t, style, colours))
        _label(cells[-1], f"frame {t}")
    columns = min(columns, len(cells))
    blank = np.zeros_like(cells[0])
    cells += [blank] * (-len(cells) % columns)
    lines = [np.concatenate(cells[i : i + columns], 1) for i in range(0, len(cells), columns)]
    return np.concatenate(lines, axis=0)


def write_image(path: str | Path, picture: np.ndarray) -> Path:
    """Write `(H, W, 3) uint8` RGB as PNG.

    Raises:
        UserError: the file cannot be written.
    """
    ok, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not ok:
        raise UserError(f"cannot encode {path} as PNG")
    with atomic_path(path) as partial:
        partial.write_bytes(data.tobytes())
    return Path(path)
