"""One video of a visitor, with the points on it and their tracks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock, RLock
from typing import Any

import numpy as np

from tracker.errors import UserError
from tracker.memory import BoundedMemory
from tracker.points.joining import Leg, stacked
from tracker.points.tracks import Tracks
from tracker.registry import Tracker
from tracker.tracking.corrections import Change, Opens, follow_changes, follower_of
from tracker.video.loading import load_video
from tracker.video.video import Video
from tracker.web.board import Board, Marks, Point, anchors_of
from tracker.web.drawing import View
from tracker.web.limits import Limits
from tracker.web.pictures import FramePictures

FEATURE_MEMORY = 512 * 2**20
"""Bytes of features and flow that are kept of a visitor's video from one run to the next."""

TRACK_BYTES = 16
"""Of a point in a frame, with what belongs to it."""


class Stopped(Exception):  # noqa: N818  it is no error that somebody pressed Stop
    """The visitor stopped the run, or left."""


class Work:
    """A video, its points and tracks; used by several threads at once.

    Args:
        path: of the video.
        number: of the video among those that its visitor opened.
        tracker: follows the points.
        limits: what a video may be.

    Raises:
        UserError: no video, a damaged one, or one beyond the limits.
    """

    def __init__(self, path: Path, number: int, tracker: Tracker, limits: Limits) -> None:
        self._path = path
        self.number = number
        video = self.reopened()
        limits.check_video(video)
        self.name, self.size = video.name, video.size
        self.num_frames, self.fps = len(video), video.fps
        self.pictures = FramePictures(self.reopened())
        self.board = Board(video.size, len(video), limits.points)
        self.lock = RLock()
        """Held while the board is read or changed; not while tracking."""
        self._follow = follower_of(tracker, video, FEATURE_MEMORY)
        self._running = Lock()
        self._is_stopped = False
        # Of all points twice, so that a step can be undone without following anew.
        self._tracks = BoundedMemory(2 * TRACK_BYTES * limits.points * limits.frames)
        self._latest: dict[int, Marks] = {}

    def reopened(self) -> Video:
        """Return the video, opened anew: every reader needs a decoder of its own."""
        return load_video(self._path)

    def track(self, progress: Callable[[int, int], None]) -> int:
        """Follow the points that changed since they were last followed.

        Args:
            progress: called with steps done and in all.

        Returns:
            How many points were followed.

        Raises:
            UserError: there is nothing to follow, a run is going on, or frames cannot be decoded.
            Stopped: `stop` was called.
        """
        with self.lock:
            points = self.board.points
            changed = [point for point in points if self._tracks.find(point.marks) is None]
            changes = [self._change(point) for point in changed]
        if not points:
            raise UserError("there are no points yet; click on the video to add one")
        if not changed:
            return 0
        if not self._running.acquire(blocking=False):
            raise UserError("the points are being followed; wait, or press Stop")
        try:
            self._is_stopped = False
            told = self._stoppable(progress)
            found = follow_changes(self._follow, changes, self.size, told)
        finally:
            self._running.release()
        with self.lock:
            for track, point in zip(found, changed, strict=True):
                self._tracks.keep(point.marks, track, TRACK_BYTES * self.num_frames)
                self._latest[point.number] = point.marks
        return len(changed)

    def stop(self) -> None:
        """End the run that is going on, if any, at its next step."""
        self._is_stopped = True

    def _change(self, point: Point) -> Change:
        """Return how a point differs from what its latest track went by."""
        marks = self._latest.get(point.number)
        track = None if marks is None else self._tracks.find(marks)
        if marks is None or track is None:
            return Change.new(point.anchors, self.num_frames)
        return Change(point.anchors, anchors_of(point.name, marks), track)

    def _stoppable(self, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
        def moved(done: int, total: int) -> None:
            if self._is_stopped:
                raise Stopped
            progress(done, total)

        return moved

    def tracks(self) -> Tracks:
        """Return the tracks of all points, in their order, as confident as they were found.

        Raises:
            UserError: there are no points, or some have changed since they were followed.
        """
        with self.lock:
            points = self.board.points
            found = [self._tracks.find(point.marks) for point in points]
        if not points:
            raise UserError("there are no points to write; add some, and press Track")
        parts: list[Leg] = [track for track in found if track is not None]
        if len(parts) < len(points):
            raise UserError(
                f"{len(points) - len(parts)} of {len(points)} points are new or have changed; "
                "press Track first"
            )
        xy, visible, confidence = stacked(parts)
        queries = [point.anchors.places[0] for point in points]
        names = [point.name for point in points]
        return Tracks(xy, visible, queries, self.size, self.fps, confidence, names)

    def scene(self) -> dict[str, Any]:
        """Return what the browser draws, as JSON has it; `path_bytes` has the tracks."""
        with self.lock:
            points = self.board.points
            return {
                "video": {
                    "number": self.number,
                    "name": self.name,
                    "width": self.size[0],
                    "height": self.size[1],
                    "frames": self.num_frames,
                    "fps": self.fps,
                },
                "points": [self._described(point) for point in points],
                "canUndo": self.board.can_undo,
                "tracks": self._version(),
                "rows": [point.number for point in points if self._shown(point)],
            }

    def path_bytes(self, version: str) -> bytes:
        """Return x, y and confidence of the scene's `rows`, `(rows, T, 3) float32`.

        Args:
            version: as the scene says under `tracks`.

        Raises:
            UserError: there are newer tracks.
        """
        with self.lock:
            if version != self._version():
                raise UserError("there are newer tracks; read the scene again")
            marks = [self._shown(point) for point in self.board.points]
            found = [self._tracks.find(shown) for shown in marks if shown]
        tracks: list[Leg] = [track for track in found if track is not None]
        rows = [np.concatenate([track.xy, track.confidence[:, None]], axis=1) for track in tracks]
        return np.array(rows, "<f4").tobytes()

    def _described(self, point: Point) -> dict[str, Any]:
        return {
            "number": point.number,
            "name": point.name,
            "colour": point.colour,
            "marks": [[t, *(place or (None, None))] for t, place in point.marks],
            "isTracked": self._tracks.find(point.marks) is not None,
        }

    def _shown(self, point: Point) -> Marks | None:
        """Return the marks whose track stands for a point, if any.

        While it waits to be followed anew, that is the track that it had.
        """
        candidates = (point.marks, self._latest.get(point.number))
        return next((m for m in candidates if m and self._tracks.find(m) is not None), None)

    def _version(self) -> str:
        shown = [(point.number, self._shown(point)) for point in self.board.points]
        return f"{hash(tuple(shown)) & 0xFFFFFFFFFFFF:x}"


def first_certainty(tracker: Tracker) -> float:
    """Return the confidence above which a tracker shows points unless told otherwise."""
    return tracker.config.inference.shown_from if isinstance(tracker, Opens) else View.certainty
