"""Points of one video, followed anew only where something else is known of them."""

from __future__ import annotations

import numpy as np

from tracker.points.anchors import AnchoredPoint
from tracker.points.joining import Leg, stacked
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.registry import Tracker
from tracker.tracking.corrections import Change, follow_changes, follower_of
from tracker.video.video import Video

MEMORY = 2**30
"""Bytes of features and flow that are kept from one run to the next."""


class Following:
    """A video and the tracks of its points; used by one thread at a time.

    Args:
        tracker: follows the points.
        video: that they are in.
    """

    def __init__(self, tracker: Tracker, video: Video) -> None:
        self._video = video
        self._follow = follower_of(tracker, video, MEMORY)
        self._known: dict[str, tuple[AnchoredPoint, Leg]] = {}
        """What was known of each point by its name, and the track that went by it."""

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
        changes = [self._change(point) for point in points]
        changes = [change for change in changes if change.point != change.before]
        found = follow_changes(self._follow, changes, self._video.size, progress)
        for change, track in zip(changes, found, strict=True):
            self._known[change.point.name] = change.point, track
        self._known = {point.name: self._known[point.name] for point in points}
        return self._tracks()

    def _change(self, point: AnchoredPoint) -> Change:
        known = self._known.get(point.name)
        return Change(point, *known) if known else Change.new(point, len(self._video))

    def _tracks(self) -> Tracks:
        points = [point for point, _ in self._known.values()]
        xy, visible, confidence = stacked([track for _, track in self._known.values()])
        frames = self._video.source_frames
        return Tracks(
            xy,
            visible,
            np.array([point.places[0] for point in points]),
            self._video.size,
            self._video.fps,
            confidence,
            [point.name for point in points],
            frames.start,
            frames.step,
        )
