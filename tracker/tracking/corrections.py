"""Tracks that are put right: what has changed of a point is followed anew, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from tracker.errors import UserError
from tracker.points.anchors import AnchoredPoint, Place, changed_frames
from tracker.points.joining import (
    LEG,
    Leg,
    each_leg,
    hidden_frames,
    insert_place,
    join_places,
    settled,
    unit_of,
)
from tracker.points.names import points_named
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.registry import Tracker
from tracker.video.video import Video

if TYPE_CHECKING:
    from tracker.tracking.config import TrackerConfig

MOST_STEPS = 200
"""Corrections that can be undone."""


class Follow(Protocol):
    """Follows each query by itself, as `TrackSession.follow` does."""

    def __call__(
        self, queries: Queries, reach: np.ndarray, progress: Progress | bool | None, /
    ) -> Tracks:
        """Return a track for each query, which is right within its `reach (N, 2)` of frames."""
        ...


def reaches_of(points: Iterable[AnchoredPoint], num_frames: int) -> np.ndarray:
    """Return first and last frame in which each place of points is to be followed.

    Args:
        points: whose tracks are wanted.
        num_frames: of the video.

    Returns:
        `(N, 2) int64`, for the places of one point after the other's.
    """
    return np.array([reach for point in points for reach in point.reaches(range(num_frames))])


@dataclass(frozen=True)
class Change:
    """A point of which other things are known than before.

    Attributes:
        point: what is known now.
        before: what was known.
        track: that went by it.
    """

    point: AnchoredPoint
    before: AnchoredPoint
    track: Leg

    @classmethod
    def new(cls, point: AnchoredPoint, num_frames: int) -> Change:
        """Return the change by which a point comes in, of which nothing was known."""
        return cls(point, AnchoredPoint(point.name, ()), Leg.blank(num_frames))

    @cached_property
    def frames(self) -> range:
        """Frames in which the track may become another."""
        return changed_frames(self.before, self.point, len(self.track.visible))

    @property
    def is_addition(self) -> bool:
        """Whether places or hidden frames were added to a track, and none were taken away."""
        return bool(self.before.places) and self.point.adds_to(self.before)

    @cached_property
    def _anew(self) -> tuple[AnchoredPoint, range]:
        """The point as it is known around `frames`, which are followed anew, and where that is."""
        frames = self.frames
        around = range(max(0, frames[0] - 1), min(frames[-1] + 2, len(self.track.visible)))
        return self.point.within(around), around

    @property
    def places(self) -> list[Place]:
        """The places to follow the point from."""
        if self.is_addition:
            return [place for place in self.point.places if place not in self.before.places]
        return list(self._anew[0].places)

    @property
    def reaches(self) -> list[tuple[int, int]]:
        """First and last frame in which each of `places` is to be followed."""
        if not self.is_addition:
            part, around = self._anew
            return part.reaches(around)
        last = len(self.track.visible) - 1
        ends = [self.before.beside(t) for t, _, _ in self.places]
        return [(first or 0, last if end is None else end) for first, end in ends]

    def applied(self, legs: Sequence[Leg], unit: float) -> Leg:
        """Return the track that goes by all that is known now.

        Args:
            legs: whole tracks, followed from each of `places` as far as it reaches.
            unit: pixels in which disagreements are measured.
        """
        track = self.track.copied()
        if self.is_addition:
            known, hidden = self.before, hidden_frames(self.point, len(track.visible))
            for leg, (t, x, y) in zip(legs, self.places, strict=True):
                insert_place(track, leg, t, known.beside(t), hidden, unit)
                known = known.placed(t, x, y)
        else:
            frames = slice(self.frames.start, self.frames.stop)
            track.write(frames, join_places(legs, self._anew[0], unit).part(frames))
        return settled(track, self.point)


def follow_changes(
    follow: Follow,
    changes: Sequence[Change],
    size: tuple[int, int],
    progress: Progress | bool | None = None,
) -> list[Leg]:
    """Return the tracks of points that have changed.

    Between the nearest unchanged places of each the earlier track is put right; elsewhere it stays
    as it is, bit for bit.

    Args:
        follow: follows places of points.
        changes: of points, to be followed together.
        size: `(W, H)` of the video in pixels.
        progress: as `PointTracker.track` takes it.

    Raises:
        UserError: frames cannot be decoded.
    """
    places = [place for change in changes for place in change.places]
    legs: Iterator[Leg] = iter(())
    if places:
        reach = np.array([reach for change in changes for reach in change.reaches])
        legs = each_leg(follow(Queries(places), reach, progress))
    unit = unit_of(size)
    return [change.applied(list(islice(legs, len(change.places))), unit) for change in changes]


class Corrections:
    """The tracks of a video as they are put right, step by step; each step can be undone.

    Args:
        follow: follows places of points through that video.
        points: what is known of each.
        tracks: of these points.
    """

    def __init__(self, follow: Follow, points: Sequence[AnchoredPoint], tracks: Tracks) -> None:
        self._follow, self._points, self._tracks = follow, list(points), tracks
        self._earlier: list[tuple[int, AnchoredPoint, Leg]] = []

    def correct(
        self, point: int | str, t: int, x: float, y: float, progress: Progress | bool | None
    ) -> Tracks:
        """Say where a point is in a frame; see `TrackSession.correct`."""
        number = self._number(point)
        known = self._points[number]
        place = Queries([(t, x, y)], [known.name]).check(self._tracks.size, self._num_frames)
        return self._change(number, known.placed(*place.points[0].places[0]), progress)

    def hide(self, point: int | str, t: int | range, progress: Progress | bool | None) -> Tracks:
        """Say that a point is not to be seen in some frames; see `TrackSession.hide`."""
        number = self._number(point)
        frames = t if isinstance(t, range) else [t]
        wrong = [frame for frame in frames if not 0 <= frame < self._num_frames]
        if wrong:
            raise UserError(
                f"frame {wrong[0]} is none of the video's, 0..{self._num_frames - 1}; hide the "
                "point in those"
            )
        return self._change(number, self._points[number].hidden_in(frames), progress)

    def undo(self) -> Tracks:
        """Take the last step back.

        Raises:
            UserError: there is none.
        """
        if not self._earlier:
            raise UserError("there is no correction to undo")
        number, self._points[number], track = self._earlier.pop()
        self._put(number, track)
        return self._tracks

    @property
    def _num_frames(self) -> int:
        return self._tracks.num_frames

    def _number(self, point: int | str) -> int:
        """Return the number of a point.

        Raises:
            UserError: there is no such point.
        """
        if isinstance(point, str):
            return points_named(self._tracks.names, point)[0]
        if not 0 <= point < len(self._points):
            raise UserError(f"point {point} is none of the tracks' 0..{len(self._points) - 1}")
        return int(point)

    def _change(
        self, number: int, point: AnchoredPoint, progress: Progress | bool | None
    ) -> Tracks:
        known, track = self._points[number], Leg.of(self._tracks, number).copied()
        if point != known:
            change = Change(point, known, track)
            (found,) = follow_changes(self._follow, [change], self._tracks.size, progress)
            self._earlier = [*self._earlier[1 - MOST_STEPS :], (number, known, track)]
            self._points[number] = point
            self._put(number, found)
        return self._tracks

    def _put(self, number: int, track: Leg) -> None:
        """Replace the track of a point; tracks that were given out stay as they are."""
        arrays = {name: getattr(self._tracks, name).copy() for name in (*LEG, "queries")}
        for name in LEG:
            arrays[name][number] = getattr(track, name)
        arrays["queries"][number] = self._points[number].places[0]
        self._tracks = replace(self._tracks, **arrays)


class Session(Protocol):
    """Keeps what it computed of a video, as `TrackSession` does."""

    follow: Follow


@runtime_checkable
class Opens(Protocol):
    """A tracker that opens sessions, as `PointTracker` does; named so that `lk` needs no torch."""

    config: TrackerConfig

    def open(self, video: Video, memory: int) -> Session:
        """Return a session that keeps up to `memory` bytes."""
        ...


def follower_of(tracker: Tracker, video: Video, memory: int) -> Follow:
    """Return what follows places of points through a video, again and again.

    Args:
        tracker: any; one that opens sessions keeps what it computed for the next call.
        video: nobody else reads it.
        memory: bytes that may be kept.
    """
    if isinstance(tracker, Opens):
        return tracker.open(video, memory).follow

    def follow(queries: Queries, reach: np.ndarray, progress: Progress | bool | None) -> Tracks:
        """Follow through the whole video, for others reach no less."""
        return tracker.track(video, queries, progress)

    return follow
