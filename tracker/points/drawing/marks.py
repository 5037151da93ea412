"""What marks points in one frame: dots, rings, fading trails and names."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from tracker.errors import UserError
from tracker.points.drawing.colours import point_colours
from tracker.points.drawn import DrawnTracks
from tracker.points.geometry import inside_frame

DARK = (16, 16, 16)
"""Outlines, by which bright dots are seen on bright ground."""

FADES = 4
"""Steps in which a trail fades."""

KEPT = 0.6
"""Share of a line's colour that is left after each step."""

_SHIFT = 4  # OpenCV draws in sixteenths of a pixel
_CIRCLE = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_ROUND = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE)], axis=-1)


@dataclass(frozen=True)
class DrawingStyle:
    """How tracks are drawn.

    Attributes:
        trail: earlier frames that a point's trail covers; 0 for none.
        size: of dots and lines, 1 is what suits the picture's resolution and the number of points.
        names: write each point's name beside it, or its number where it has none.
        visible: draw only points that are visible, no rings for hidden ones.

    Raises:
        UserError: a trail below 0, or a size that is not above 0.
    """

    trail: int = 12
    size: float = 1.0
    names: bool = False
    visible: bool = False

    def __post_init__(self) -> None:
        if self.trail < 0:
            raise UserError(f"trail={self.trail}: give a number of frames, 0 for no trails")
        if not 0 < self.size < 100:
            raise UserError(f"size={self.size:g}: give a factor above 0, such as 0.5 or 2")


def draw_tracks(
    frame: np.ndarray,
    tracks: DrawnTracks,
    t: int,
    style: DrawingStyle | None = None,
    colours: np.ndarray | None = None,
) -> np.ndarray:
    """Return a copy of a frame with the marks of time `t` and their trails.

    Args:
        frame: `(H, W, 3) uint8`, of any size; positions are scaled from `tracks.size`.
        tracks: what to draw.
        t: frame number.
        style: how; None as by default.
        colours: `(N, 3) uint8` of the points; None for `point_colours`, which takes its time.
    """
    style = style or DrawingStyle()
    colours = point_colours(tracks) if colours is None else colours
    height, width = frame.shape[:2]
    radius = style.size * _fitting_radius(width, height, len(tracks))
    recent = slice(max(0, t - style.trail), t + 1)
    xy = tracks.xy[:, recent] * np.divide([width, height], tracks.size).astype(np.float32)
    # Farther out even a dot would not be seen, and OpenCV's whole numbers may not suffice.
    margin = np.array([width, height])
    near = inside_frame(xy + margin, (3 * width, 3 * height))
    places = _fixed_point(np.where(near[..., None], xy, 0))
    shown = tracks.visible[:, recent] & near
    thickness = max(1, round(0.35 * radius))
    picture = _draw_trails(frame, places, colours, shown, style.trail, thickness)
    certainty = 0.4 + 0.6 * np.clip(np.nan_to_num(tracks.confidence[:, t, None]), 0, 1)
    pale = (certainty * colours + (1 - certainty) * 255).astype(np.uint8)
    if not style.visible:
        hidden = near[:, -1] & ~shown[:, -1]
        _draw_rings(picture, places[hidden, -1], colours[hidden], radius)
    _draw_dots(picture, places[shown[:, -1], -1], pale[shown[:, -1]], radius)
    if style.names:
        named = shown[:, -1] if style.visible else near[:, -1]
        for point in np.flatnonzero(named).tolist():
            place = xy[point, -1] + 1.3 * radius
            label = tracks.names[point] if tracks.names else ""
            write_text(picture, label or str(point), place, 2.2 * radius)
    return picture


def _fitting_radius(width: int, height: int, num_points: int) -> float:
    """Return pixels: as the resolution asks for, less where many points would hide the video."""
    by_resolution = max(3.0, min(width, height) / 120)
    by_room = max(2.0, 0.2 * (width * height / max(num_points, 1)) ** 0.5)
    return min(by_resolution, by_room)


def _fixed_point(xy: np.ndarray) -> np.ndarray:
    """Return raster positions `(..., 2)` as OpenCV's whole numbers; it counts from centres."""
    return np.rint((xy - 0.5) * (1 << _SHIFT)).astype(np.int32)


def _draw_trails(
    frame: np.ndarray,
    places: np.ndarray,
    colours: np.ndarray,
    shown: np.ndarray,
    trail: int,
    thickness: int,
) -> np.ndarray:
    """Return a frame with lines through neighbouring shown places, the paler the older.

    Args:
        frame: `(H, W, 3) uint8`.
        places: `(N, frames, 2)` of OpenCV's whole numbers.
        colours: `(N, 3) uint8`.
        shown: `(N, frames) bool`.
        trail: frames in which a line fades.
        thickness: of the lines, in pixels.
    """
    picture = frame.copy()
    points, times = np.nonzero(shown[:, 1:] & shown[:, :-1])
    lines = np.stack([places[points, times], places[points, times + 1]], axis=1)
    ages = shown.shape[1] - 2 - times
    parts = FADES - 1 - ages * FADES // max(trail, 1)
    _, kinds = np.unique(colours, axis=0, return_inverse=True)
    # Lines of one part and one colour are drawn at once, the oldest part first.
    groups = parts * len(colours) + kinds.reshape(-1)[points]
    order = np.argsort(groups, kind="stable")
    lines_of = list(lines[order])
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    part = 0

    def fade_up_to(later: int) -> None:
        for _ in range(part, later):
            cv2.addWeighted(picture, KEPT, frame, 1 - KEPT, 0, dst=picture)

    for first, last in itertools.pairwise([*starts.tolist(), len(order)]):
        fade_up_to(int(parts[order[first]]))
        part = int(parts[order[first]])
        colour = colours[points[order[first]]].tolist()
        cv2.polylines(picture, lines_of[first:last], False, colour, thickness, cv2.LINE_AA, _SHIFT)
    if len(order):
        fade_up_to(FADES - 1)
    return picture


def _draw_dots(picture: np.ndarray, places: np.ndarray, colours: np.ndarray, radius: float) -> None:
    outline = max(1.0, 0.25 * radius)
    outer, inner = (round(r * (1 << _SHIFT)) for r in (radius + outline, radius))
    for centre, colour in zip(places.tolist(), colours.tolist(), strict=True):
        cv2.circle(picture, centre, outer, DARK, -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(picture, centre, inner, colour, -1, cv2.LINE_AA, _SHIFT)


def _draw_rings(
    picture: np.ndarray, places: np.ndarray, colours: np.ndarray, radius: float
) -> None:
    """Draw coloured rings with a dark rim on both sides."""
    bleed = 0.5  # pixels that OpenCV fills beyond an outline when it smooths it
    half, rim = max(0.75, 0.17 * radius), max(0.8, 0.12 * radius)
    dark, bright = (
        [_fixed_point(0.5 + (0.9 * radius + side * (width - bleed)) * _ROUND) for side in (1, -1)]
        for width in (half + rim, half)
    )
    for centre, colour in zip(places, colours.tolist(), strict=True):
        for outlines, paint in ((dark, DARK), (bright, colour)):
            # Two outlines in each other fill what lies between them.
            cv2.fillPoly(picture, [o + centre for o in outlines], paint, cv2.LINE_AA, _SHIFT)


def write_text(
    picture: np.ndarray,
    text: str,
    place: np.ndarray | tuple[float, float],
    height: float,
) -> None:
    """Write a white line with a dark outline into a picture.

    Args:
        picture: `(H, W, 3) uint8`, changed in place.
        text: what to write; characters outside ASCII become question marks.
        place: x and y of the text's top left corner, in pixels.
        height: of a capital letter, in pixels.
    """
    scale = height / 22  # of this font, in which capitals are 22 pixels high
    corner = (round(float(place[0])), round(float(place[1]) + height))
    thickness = max(1, round(height / 12))
    rim = max(2, round(height / 6))
    for paint, width in ((DARK, thickness + rim), ((255, 255, 255), thickness)):
        cv2.putText(
            picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, paint, width, cv2.LINE_AA
        )
