"""Points of one video, followed anew only where something else is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from tracker.points.anchors import AnchoredPoint
from tracker.points.joining import Leg, tracks_of
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.registry import Tracker
from tracker.tracking.corrections import Change, follow_changes
from tracker.tracking.session import TrackSession
from tracker.video.video import Video

MEMORY = 2**30
"""Bytes of features and flow that are kept from one run to the next."""


@runtime_checkable
class _Opens(Protocol):
    """A tracker that opens sessions, as `PointTracker` does."""

    def open(self, video: Video, memory: int) -> TrackSession: ...


class Following:
    """A video and the tracks of its points; used by one thread at a time.

    Args:
        tracker: follows the points.
        video: that they are in.
    """

    def __init__(self, tracker: Tracker, video: Video) -> None:
        self._tracker, self._video = tracker, video
        self._session = tracker.open(video, MEMORY) if isinstance(tracker, _Opens) else None
        self._known: dict[str, tuple[AnchoredPoint, Leg]] = {}

    def track(self, queries: Queries, progress: Progress) -> Tracks:
        """Return the tracks of all points.

        Points of which nothing else is known than at the call before keep their tracks, bit for
        bit; others are followed anew between the places that are known as before.

        Args:
            queries: all points, each with a name.
            progress: called with steps done and in all; what it raises ends the run, and the tracks
                of the call before are kept.

        Raises:
            UserError: a query lies outside the video, the rows of a point contradict each other, or
                frames cannot be decoded.
        """
        points = queries.check(self._video.size, len(self._video)).points
        new, changes = [], []
        for point in points:
            before = self._known.get(point.name)
            if before is None or (before[0] != point and self._session is None):
                new.append(point)
            elif before[0] != point:
                changes.append(Change(point, *before))
        if new:
            self._follow_new(new, progress)
        if changes and self._session is not None:
            changed = [change.point for change in changes]
            found = follow_changes(self._session.follow, changes, self._blank(), progress)
            self._keep(changed, found)
        self._known = {point.name: self._known[point.name] for point in points}
        return tracks_of([leg for _, leg in self._known.values()], points, self._blank())

    def _follow_new(self, points: Sequence[AnchoredPoint], progress: Progress) -> None:
        queries = _queries_of(points)
        if self._session is None:
            self._keep(points, self._tracker.track(self._video, queries, progress))
        else:
            self._keep(points, self._session.track(queries, progress))

    def _keep(self, points: Sequence[AnchoredPoint], found: Tracks) -> None:
        for row, point in enumerate(points):
            self._known[point.name] = point, Leg.of(found, row).copied()

    def _blank(self) -> Tracks:
        """Return tracks of the video without points."""
        length, frames = len(self._video), self._video.source_frames
        return Tracks(
            np.empty((0, length, 2)),
            np.empty((0, length)),
            np.empty((0, 3)),
            self._video.size,
            self._video.fps,
            start=frames.start,
            stride=frames.step,
        )


def _queries_of(points: Sequence[AnchoredPoint]) -> Queries:
    """Return all that is known of points, as rows."""
    rows, names, hidden = [], [], []
    for point in points:
        known = [*point.places, *((t, np.nan, np.nan) for t in point.hidden)]
        rows += known
        names += [point.name] * len(known)
        hidden += [not np.isfinite(x) for _, x, _ in known]
    return Queries(rows, names, hidden)
