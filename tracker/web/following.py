"""Tracks that go by what a visitor said of their points."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.web.board import Point

Ask = Callable[[Queries, Progress], Tracks]
"""Asks for the tracks of queries, as a session's `track` does."""


def follow(ask: Ask, points: Sequence[Point], progress: Progress) -> Tracks:
    """Return the tracks of points, each through the places that it was given.

    A point is followed both ways from its first place. From each later place on it is followed
    anew, and what lies before stays as it is. Where a point was said to be hidden, it is certain
    to be: its confidence is 0.

    Args:
        ask: of a video.
        points: at least one.
        progress: as `PointTracker.track` takes it.

    Returns:
        A track for each point, with its name and its first place as the query.

    Raises:
        UserError: frames cannot be decoded.
    """
    rows = [(number, place) for number, point in enumerate(points) for place in point.places]
    found = ask(Queries([place for _, place in rows]), progress)
    first = [next(i for i, (of, _) in enumerate(rows) if of == n) for n in range(len(points))]
    tracks = Tracks(
        found.xy[first].copy(),
        found.visible[first].copy(),
        found.queries[first],
        found.size,
        found.fps,
        found.confidence[first].copy(),
        [point.name for point in points],
    )
    for row, (number, (t, _, _)) in enumerate(rows):
        if row not in first:
            for name in ("xy", "visible", "confidence"):
                getattr(tracks, name)[number, t:] = getattr(found, name)[row, t:]
    for number, point in enumerate(points):
        hidden = np.array(point.hidden, int)
        tracks.confidence[number, hidden] = 0
        tracks.visible[number, hidden] = False
    return tracks
