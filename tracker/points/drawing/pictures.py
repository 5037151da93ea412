"""Whole videos and sheets of drawn frames, and their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from tracker.errors import UserError
from tracker.files import atomic_path
from tracker.points.drawing.colours import point_colours
from tracker.points.drawing.marks import DrawingStyle, draw_tracks, write_text
from tracker.points.drawn import DrawnTracks
from tracker.video.video import Video

SMALLEST_SIDE = 480

LONGEST_SIDE = 4096
"""Smaller videos are enlarged by a whole factor, so that dots do not hide what they mark,
as long as encoders still take them."""

CELL_WIDTH = 480
"""Pixels, of a contact sheet."""

MOST_PATHS = 300
"""Points of a small sheet without a video."""


def overlay(
    video: Video,
    tracks: DrawnTracks,
    truth: DrawnTracks | None = None,
    style: DrawingStyle | None = None,
    start: int = 0,
) -> Iterator[np.ndarray]:
    """Yield every frame that the tracks reach with its tracks.

    Args:
        video: of any size; small ones are enlarged.
        tracks: of the video, in pixels of whatever size.
        truth: drawn at the right of the tracks, each point in the same colour.
        style: how points are drawn; None as by default.
        start: the first frame that is drawn.

    Yields:
        `(H, W, 3) uint8`.
    """
    colours = point_colours(tracks)
    for t, frame in enumerate(video.frames(start, tracks.xy.shape[1]), start):
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
    tracks: DrawnTracks,
    columns: int = 4,
    rows: int = 2,
    style: DrawingStyle | None = None,
) -> np.ndarray:
    """Return one picture of `columns` x `rows` frames spread evenly over the video."""
    times = sheet_frames(video, columns, rows)
    frames = (fit_width(video[t], CELL_WIDTH) for t in times)
    return _sheet(frames, tracks, times, times, columns, style)


def sheet_frames(video: Video, columns: int = 4, rows: int = 2) -> list[int]:
    """Return the numbers of the frames that `contact_sheet` shows."""
    return spread(len(video), columns * rows)


def query_sheet(
    video: Video, places: DrawnTracks, frames: Sequence[int], style: DrawingStyle | None = None
) -> np.ndarray:
    """Return one picture of frames with the points that are asked for in them.

    Args:
        video: of any size.
        places: of the points, one for each of `frames`; visible where they are asked for.
        frames: numbers of frames; of more than 16, so many are chosen evenly.
        style: how points are drawn; None as by default.

    Returns:
        `(H, W, 3) uint8`: of one frame in about its own size, of several as a contact sheet.
    """
    chosen = spread(len(frames), 16)
    width = CELL_WIDTH if len(chosen) > 1 else min(max(video.size[0], 2 * CELL_WIDTH), LONGEST_SIDE)
    pictures = (fit_width(video[frames[i]], width) for i in chosen)
    alone = replace(style or DrawingStyle(), trail=0, visible=True)
    return _sheet(pictures, places, chosen, [frames[i] for i in chosen], 4, alone)


def path_sheet(tracks: DrawnTracks) -> np.ndarray:
    """Return a small contact sheet of paths on dark frames, where there is no video.

    Of more than `MOST_PATHS` points, so many are chosen evenly; sides stay below 1000 pixels.
    """
    shown = tracks.select_points(spread(len(tracks), MOST_PATHS))
    times = spread(tracks.xy.shape[1], 8)
    factor = min(240 / tracks.size[0], 240 / tracks.size[1])
    width, height = (max(1, round(side * factor)) for side in tracks.size)
    blank = np.full((height, width, 3), 40, np.uint8)
    style = DrawingStyle(trail=max(12, tracks.xy.shape[1] // 8))
    return _sheet([blank] * len(times), shown, times, times, 4, style)


def spread(count: int, most: int) -> list[int]:
    """Return up to `most` of the numbers `0..count-1`, spread evenly, with both ends."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()


def fit_width(frame: np.ndarray, width: int) -> np.ndarray:
    """Return a copy of a frame `(H, W, 3)` that is so many pixels wide."""
    height = max(1, round(frame.shape[0] * width / frame.shape[1]))
    way = cv2.INTER_AREA if frame.shape[1] > width else cv2.INTER_CUBIC
    return cv2.resize(frame, (width, height), interpolation=way)


def _sheet(
    pictures: Iterable[np.ndarray],
    tracks: DrawnTracks,
    times: Sequence[int],
    numbers: Sequence[int],
    columns: int,
    style: DrawingStyle | None,
) -> np.ndarray:
    """Draw tracks on pictures, each at its time, and lay them out in rows.

    Args:
        pictures: `(H, W, 3) uint8`, all of one size.
        tracks: what is drawn.
        times: of `tracks`, one for each picture.
        numbers: of the frames, as they are written into the pictures.
        columns: pictures in a row.
        style: how points are drawn.
    """
    colours = point_colours(tracks)
    cells = []
    for picture, t, number in zip(pictures, times, numbers, strict=True):
        cells.append(draw_tracks(picture, tracks, t, style, colours))
        _label(cells[-1], f"frame {number}")
    return in_rows(cells, columns)


def in_rows(pictures: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Lay out pictures `(H, W, 3) uint8` of one size in rows of up to `columns`."""
    columns = min(columns, len(pictures))
    blank = np.zeros_like(pictures[0])
    cells = [*pictures]
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
