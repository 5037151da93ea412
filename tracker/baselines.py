"""Trackers without learning: what a user would otherwise reach for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from tracker.points.geometry import inside_frame
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress, reported
from tracker.video.loading import load_video


def _tracks_of(
    video: Video,
    queries: Queries,
    xy: np.ndarray,
    visible: np.ndarray,
    confidence: np.ndarray | None = None,
) -> Tracks:
    """Return the tracks of a video, which know its size, its rate and which frames they are of."""
    return Tracks(
        xy,
        visible,
        queries.txy,
        video.size,
        video.fps,
        confidence,
        queries.names,
        video.source_frames.start,
        video.source_frames.step,
    )


if TYPE_CHECKING:
    from tracker.points.queries import QueriesLike
    from tracker.video.loading import VideoLike
    from tracker.video.video import Video


class StaticTracker:
    """Every point stays where it was asked for. The floor that any tracker must beat."""

    def track(
        self, video: VideoLike, queries: QueriesLike, progress: Progress | bool | None = None
    ) -> Tracks:
        """Return tracks that stay at their queries; see `Tracker.track`."""
        video, queries = load_video(video), Queries.of(queries)
        placed = queries.check(video.size, len(video)).placed
        xy = np.repeat(placed.xy[:, None], len(video), axis=1)
        visible = np.ones(xy.shape[:2], bool)
        with reported(progress, len(video), "tracking") as move:
            move(len(video), len(video))
        return queries.join(_tracks_of(video, placed, xy, visible))


class LucasKanadeTracker:
    """OpenCV's pyramidal Lucas-Kanade at the video's own resolution, both ways in time.

    A point is visible, wherever it is inside the frame, until tracking it one frame on and back
    again misses by `max_round_trip`; from then on it is hidden, for flow cannot find a lost point
    again. Of the rules tried this one scores highest: letting points come back after a failure
    loses 4 points of average Jaccard on real video. Confidence is the share of the allowance that
    the worst round trip so far left over.

    Args:
        window: side of the matched patch, in pixels.
        levels: pyramid levels above the full resolution.
        max_round_trip: forward-backward error that counts as lost, in 256ths of the frame's
            longer side, so that it means the same at every resolution; 10 pixels at 480p.
    """

    def __init__(self, window: int = 21, levels: int = 3, max_round_trip: float = 3.0) -> None:
        self.window = window
        self.levels = levels
        self.max_round_trip = max_round_trip

    def track(
        self, video: VideoLike, queries: QueriesLike, progress: Progress | bool | None = None
    ) -> Tracks:
        """Follow queries frame by frame, one direction of time after the other.

        See `Tracker.track`.
        """
        video, queries = load_video(video), Queries.of(queries)
        placed = queries.check(video.size, len(video)).placed
        count, length = len(placed), len(video)
        xy = np.repeat(placed.xy[:, None], length, axis=1)
        confidence = np.zeros((count, length), np.float32)
        confidence[np.arange(count), placed.t] = 1.0
        first, last = int(placed.t.min()), int(placed.t.max())
        total = length - first + last
        forward = enumerate(video.frames(first), start=first)
        backward = zip(range(last, -1, -1), video.reversed_frames(last), strict=True)
        done = 0
        with reported(progress, len(video), "tracking") as move:
            for step, frames in ((1, forward), (-1, backward)):
                for _ in self._follow(frames, step, placed.t, xy, confidence):
                    done += 1
                    move(min(done, total), total)
        confidence[~inside_frame(xy, video.size)] = 0
        return queries.join(_tracks_of(video, placed, xy, confidence > 0, confidence))

    def _follow(
        self,
        frames: Iterable[tuple[int, np.ndarray]],
        step: int,
        starts: np.ndarray,
        xy: np.ndarray,
        confidence: np.ndarray,
    ) -> Iterable[int]:
        """Fill `xy (N, T, 2)` and `confidence (N, T)` in one direction of time, frame by frame."""
        previous = None
        for t, frame in frames:
            gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            active = np.flatnonzero(starts * step < t * step)
            if previous is not None and active.size:
                moved, missed = lucas_kanade(
                    previous, gray, xy[active, t - step], self.window, self.levels
                )
                error = missed * 256 / max(gray.shape)
                xy[active, t] = moved
                certainty = np.clip(1 - error / self.max_round_trip, 0, 1)
                confidence[active, t] = np.minimum(certainty, confidence[active, t - step])
            previous = gray
            yield t


def lucas_kanade(
    start_image: np.ndarray, end_image: np.ndarray, xy: np.ndarray, window: int, levels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Follow points from one image to another and back again.

    Args:
        start_image: `(H, W) uint8`.
        end_image: of the same kind.
        xy: `(N, 2)` raster pixels in the first image.
        window: side of the matched patch, in pixels.
        levels: pyramid levels above the full resolution.

    Returns:
        Positions in the second image `(N, 2)`, and by how many pixels `(N,)` the way back misses
        the start; infinite where the flow was lost.
    """
    # OpenCV counts from pixel centres, we from the image's corner.
    start = np.ascontiguousarray(xy - 0.5, np.float32)[:, None]
    there, found = _flow(start_image, end_image, start, window, levels)
    back, found_back = _flow(end_image, start_image, there, window, levels)
    missed = np.linalg.norm((back - start)[:, 0], axis=-1)
    lost = (found[:, 0] == 0) | (found_back[:, 0] == 0)
    return there[:, 0] + 0.5, np.where(lost, np.inf, missed)


def _flow(
    from_image: np.ndarray, to_image: np.ndarray, points: np.ndarray, window: int, levels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return where OpenCV finds points `(N, 1, 2)`, and whether it does `(N, 1)`."""
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        from_image,
        to_image,
        points,
        np.empty_like(points),
        winSize=(window, window),
        maxLevel=levels,
    )
    return np.asarray(moved), np.asarray(found)
