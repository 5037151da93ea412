"""A video that is asked for tracks again and again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from tracker.errors import UserError
from tracker.head.tracking_head import FrameFeatures
from tracker.memory import BoundedMemory
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress, Share, reported
from tracker.tracking.blocks import follow_blocks
from tracker.tracking.context import FollowedFrames
from tracker.tracking.corrections import Corrections, reaches_of
from tracker.tracking.model import TrackingModel
from tracker.video.video import Video

if TYPE_CHECKING:
    from tracker.points.queries import QueriesLike

READ_BACK = 64 * 2**20
"""Bytes of frames that are read at once on the way back in time."""


class TrackSession:
    """Tracks of one video, asked for as often as one likes; made by `PointTracker.open`.

    Features of the frames and the flow between them are kept from one call to the next, so that
    only the first pays for them. What the memory has no room for is computed again, to the same
    result.

    Args:
        tracker: in eval mode.
        video: of any size and length.
        memory: of what is computed of the video.
    """

    def __init__(self, tracker: TrackingModel, video: Video, memory: BoundedMemory) -> None:
        self._tracker, self._video, self._memory = tracker, video, memory
        self._last = (0, video.read(0, 0))
        self._corrections: Corrections | None = None

    def track(
        self,
        queries: QueriesLike,
        progress: Progress | bool | None = None,
        on_block: Callable[[Tracks], object] | None = None,
    ) -> Tracks:
        """Follow queries through the whole video, forwards and backwards in time.

        Args:
            queries: in frames and pixels of the video, whatever `Queries.of` takes.
            progress: as `PointTracker.track` takes it.
            on_block: as `PointTracker.track_blocks` takes it.

        Returns:
            Tracks in pixels of the video.

        Raises:
            UserError: a query lies outside the video, or frames cannot be decoded.
        """
        queries = Queries.of(queries).check(self._video.size, len(self._video))
        reach = None
        if queries.has_anchors:
            reach = reaches_of(queries.points, len(self._video))
            on_block = None  # tracks that are yet to be joined are not final
        tracks = queries.join(self.follow(queries.placed, reach, progress, on_block))
        self._corrections = Corrections(self.follow, queries.points, tracks)
        return tracks

    def correct(
        self,
        point: int | str,
        t: int,
        x: float,
        y: float,
        progress: Progress | bool | None = None,
    ) -> Tracks:
        """Say where a point is in a frame.

        Its track is followed anew from there to the nearest other places that are known of it, and
        stays as it is elsewhere.

        session.track([(0, 120.5, 64)])
        tracks = session.correct(0, 30, 140, 70)

        Args:
            point: of those that `track` was last asked for: its number or its name.
            t: frame number, from 0; what was known of it is replaced.
            x: pixels of the video.
            y: pixels of the video.
            progress: as `PointTracker.track` takes it.

        Returns:
            The tracks of all points.

        Raises:
            UserError: there is no such point, the place lies outside the video, or nothing was
                tracked yet.
        """
        return self._corrected.correct(point, t, x, y, progress)

    def hide(
        self, point: int | str, t: int | range, progress: Progress | bool | None = None
    ) -> Tracks:
        """Say that a point is not to be seen in a frame; see `correct`.

        Args:
            point: its number or its name.
            t: frame number, or a range of them; places that were known there are forgotten.
            progress: as `PointTracker.track` takes it.

        Returns:
            The tracks of all points.

        Raises:
            UserError: there is no such point or frame, the point would have no place left, or
                nothing was tracked yet.
        """
        return self._corrected.hide(point, t, progress)

    def undo(self) -> Tracks:
        """Take the last `correct` or `hide` back; the tracks are those before it, bit for bit.

        Raises:
            UserError: there is none since the last `track`.
        """
        return self._corrected.undo()

    @property
    def _corrected(self) -> Corrections:
        if self._corrections is None:
            raise UserError("nothing was tracked yet that could be corrected; call track first")
        return self._corrections

    @torch.inference_mode()
    def follow(
        self,
        queries: Queries,
        reach: np.ndarray | None = None,
        progress: Progress | bool | None = None,
        on_block: Callable[[Tracks], object] | None = None,
    ) -> Tracks:
        """Follow each query by itself, whatever its name; see `track`.

        Args:
            queries: places that lie in the video.
            reach: `(N, 2)` first and last frame in which each is wanted; what is told of other
                frames means nothing. None for all frames.
            progress: as `PointTracker.track` takes it.
            on_block: as `PointTracker.track_blocks` takes it.

        Raises:
            UserError: frames cannot be decoded.
        """
        tracker, video = self._tracker, self._video

        def tracks_of(found: FollowedFrames) -> Tracks:
            tracks = tracker.tracks_of(found.xy, found.confidence, queries, video.size, video.fps)
            frames = video.source_frames
            return replace(tracks, start=frames.start, stride=frames.step)

        with reported(progress, len(video), "tracking") as on_progress:
            found = follow_blocks(
                tracker.head,
                tracker.fine_queries(queries, video.size),
                len(video),
                self._features,
                tracker.config.inference,
                self._memory,
                on_progress,
                None if reach is None else torch.from_numpy(reach),
                on_block and (lambda found: on_block(tracks_of(found))),
            )
        return tracks_of(found)

    def _features(self, start: int, stop: int, on_share: Share) -> FrameFeatures:
        """Return the features of the block of frames `start..stop-1`."""
        key = ("features", start, stop)
        features = self._memory.find(key)
        if features is None:
            # A short block at the end borrows frames before it to fill the backbone's window.
            reach = self._tracker.config.backbone.window if self._tracker.backbone else 0
            lead = min(start, max(0, reach - (stop - start)))
            before = self._read(start - lead, start) if lead else None
            frames = self._read(start, stop)
            features = self._tracker.describe(frames, before, on_share)
            self._memory.keep(key, features, features.nbytes)
        return features

    def _read(self, start: int, stop: int) -> np.ndarray:
        """Return frames `start..stop-1`; those that are held from the last read are not decoded."""
        first, held = self._last
        if first <= start < stop <= first + len(held):
            return held[start - first : stop - first]
        if start < first:
            # On the way back decoders start at a key frame, often far before: read many at once.
            width, height = self._video.size
            begin = max(0, min(start, stop - READ_BACK // (3 * width * height)))
            self._last = (begin, self._video.read(begin, stop))
            return self._last[1][start - begin :]
        frames = self._video.read(start, stop)
        reach = self._tracker.config.backbone.window
        self._last = (max(start, stop - reach), frames[-reach:].copy())
        return frames
