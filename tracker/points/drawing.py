"""Pictures of tracks: trails over the video, side by side with the truth, contact sheets.

A point's colour tells where it started: hue runs with x, brightness with y. A filled dot is
visible (paler where the tracker is less certain), a hollow one is occluded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tracker.errors import UserError
from tracker.files import atomic_path
from tracker.points.geometry import inside_frame
from tracker.points.tracks import Tracks
from tracker.video.video import Video

TRAIL_FRAMES = 12

SMALLEST_SIDE = 480

LONGEST_SIDE = 4096
"""Smaller videos are enlarged by a whole factor, so that dots do not hide what they mark,
as long as encoders still take them."""


def point_colours(tracks: Tracks) -> np.ndarray:
    """Return `(N, 3) uint8` RGB colours by the place where each track starts."""
    place = np.clip(tracks.queries[:, 1:] / np.array(tracks.size, np.float32), 0, 1)
    hsv = np.empty((1, len(tracks), 3), np.uint8)
    hsv[0, :, 0] = place[:, 0] * 150
    hsv[0, :, 1] = 255 - 90 * place[:, 1]
    hsv[0, :, 2] = 255 - 70 * (1 - place[:, 1])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0] if len(tracks) else np.empty((0, 3), np.uint8)


def draw_tracks(frame: np.ndarray, tracks: Tracks, t: int, trail: int = TRAIL_FRAMES) -> np.ndarray:
    """Return a copy of a frame with the dots of time `t` and their trails.

    Args:
        frame: `(H, W, 3) uint8`, of any size; positions are scaled from `tracks.size`.
        tracks: what to draw.
        t: frame number.
        trail: how many earlier frames the trail covers.
    """
    height, width = frame.shape[:2]
    radius = max(2, round(min(width, height) / 130))
    recent = slice(max(0, t - trail), t + 1)
    xy = tracks.xy[:, recent] * np.divide([width, height], tracks.size).astype(np.float32)
    # Farther out even a dot would not be seen, and OpenCV's whole numbers may not suffice.
    margin = np.array([width, height])
    near = inside_frame(xy + margin, (3 * width, 3 * height))
    places = _fixed_point(np.where(near[..., None], xy, 0))
    colours = point_colours(tracks)
    shown = tracks.visible[:, recent] & near
    picture = _draw_trails(frame, places, colours, shown, thickness=max(1, radius // 2))
    certainty = 0.4 + 0.6 * np.clip(tracks.confidence[:, t, None], 0, 1)
    pale = (certainty * colours + (1 - certainty) * 255).astype(np.uint8)
    dots = np.where(shown[:, -1:], pale, colours)
    filled = np.where(shown[:, -1], -1, 1)
    for centre, colour, thickness in zip(
        places[near[:, -1], -1].tolist(),
        dots[near[:, -1]].tolist(),
        filled[near[:, -1]].tolist(),
        strict=True,
    ):
        cv2.circle(picture, centre, radius << _SHIFT, colour, thickness, cv2.LINE_AA, _SHIFT)
    return picture


_SHIFT = 4  # OpenCV draws in sixteenths of a pixel


def _fixed_point(xy: np.ndarray) -> np.ndarray:
    """Return raster positions `(..., 2)` as OpenCV's whole numbers; it counts from centres."""
    return np.rint((xy - 0.5) * (1 << _SHIFT)).astype(np.int32)


def _draw_trails(
    frame: np.ndarray,
    places: np.ndarray,
    colours: np.ndarray,
    shown: np.ndarray,
    thickness: int,
) -> np.ndarray:
    """Return a frame with lines blended in, through neighbouring shown places only.

    Args:
        frame: `(H, W, 3) uint8`.
        places: `(N, frames, 2)` of OpenCV's whole numbers.
        colours: `(N, 3) uint8`.
        shown: `(N, frames) bool`.
        thickness: of the lines, in pixels.
    """
    lines = frame.copy()
    colour_of = colours.tolist()
    # A run of shown places begins and ends where the flags change; of each point, two by two.
    changes = np.diff(shown.astype(np.int8), axis=1, prepend=0, append=0)
    points, edges = np.nonzero(changes)
    for point, first, end in zip(
        points[::2].tolist(), edges[::2].tolist(), edges[1::2].tolist(), strict=True
    ):
        if end - first > 1:
            run = places[point, first:end]
            cv2.polylines(lines, [run], False, colour_of[point], thickness, cv2.LINE_AA, _SHIFT)
    return cv2.addWeighted(lines, 0.75, frame, 0.25, 0)


def overlay(video: Video, tracks: Tracks, truth: Tracks | None = None) -> Iterator[np.ndarray]:
    """Yield every frame with its tracks; with `truth`, predictions left and truth right."""
    for t, frame in enumerate(video.frames()):
        enlarged = _enlarge(frame)
        picture = draw_tracks(enlarged, tracks, t)
        if truth is not None:
            divider = np.full((picture.shape[0], 4, 3), 255, np.uint8)
            right = draw_tracks(enlarged, truth, t)
            picture = np.concatenate(
                [_label(picture, "predicted"), divider, _label(right, "true")], axis=1
            )
        yield picture


def _enlarge(frame: np.ndarray) -> np.ndarray:
    shorter, longer = sorted(frame.shape[:2])
    factor = min(-(-SMALLEST_SIDE // shorter), LONGEST_SIDE // longer)
    if factor <= 1:
        return frame
    return cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def _label(picture: np.ndarray, text: str) -> np.ndarray:
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(
            picture, text, (10, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, thickness, cv2.LINE_AA
        )
    return picture


def contact_sheet(video: Video, tracks: Tracks, columns: int = 4, rows: int = 2) -> np.ndarray:
    """Return one picture of `columns` x `rows` frames spread evenly over the video."""
    count = min(columns * rows, len(video))
    times = np.unique(np.linspace(0, len(video) - 1, count).round().astype(int))
    cells = []
    for t in times:
        frame = _enlarge(video.read(t, t + 1)[0])
        cell = draw_tracks(frame, tracks, t)
        width = 480
        height = round(cell.shape[0] * width / cell.shape[1])
        cell = cv2.resize(cell, (width, height), interpolation=cv2.INTER_AREA)
        cells.append(_label(cell, f"frame {t}"))
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
