"""The page's view of tracks as pictures: the visitor's colours, side by side, by confidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tracker.points.drawing import DrawingStyle, draw_tracks
from tracker.points.drawing.pictures import enlarge
from tracker.points.tracks import Tracks
from tracker.video.video import Video
from tracker.web.board import Point, colour_rgb

DOUBTFUL, CERTAIN = np.array([255, 70, 60]), np.array([60, 205, 70])
"""Colours of confidence 0 and 1; static/marks.js has the same."""


@dataclass(frozen=True)
class View:
    """What the page's controls ask for.

    Attributes:
        certainty: confidence above which a point is shown, in 0..1.
        trail: earlier frames that a trail covers.
        by_confidence: colour points by their confidence, instead of by their own colours.
        side_by_side: the video as it is at the left.
        names: write names beside the points.
    """

    certainty: float = 0.25
    trail: int = 12
    by_confidence: bool = False
    side_by_side: bool = False
    names: bool = False


def drawn_frames(
    video: Video, tracks: Tracks, points: Sequence[Point], view: View
) -> Iterator[np.ndarray]:
    """Yield every frame as the page shows it.

    Args:
        video: that was tracked.
        tracks: of `points`, in their order.
        points: whose colours are used.
        view: how to draw.

    Yields:
        `(H, W, 3) uint8`, enlarged where the video is small.
    """
    style = DrawingStyle(trail=view.trail, names=view.names)
    own = np.array([colour_rgb(point.colour) for point in points], np.uint8)
    for t, frame in enumerate(video.frames()):
        large = enlarge(frame)
        colours = confidence_colours(tracks.confidence[:, t]) if view.by_confidence else own
        drawn = draw_tracks(large, tracks, t, style, colours)
        yield np.concatenate([large, drawn], axis=1) if view.side_by_side else drawn


def confidence_colours(confidence: np.ndarray) -> np.ndarray:
    """Return `(N, 3) uint8` colours from red to green for confidences `(N,)` in 0..1."""
    share = np.clip(np.nan_to_num(confidence), 0, 1)[:, None]
    return np.rint(DOUBTFUL + share * (CERTAIN - DOUBTFUL)).astype(np.uint8)
