"""A video that is asked for tracks again and again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from tracker.head.tracking_head import FrameFeatures
from tracker.memory import BoundedMemory
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress, Share, reported
from tracker.tracking.blocks import follow_blocks
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

    @torch.inference_mode()
    def track(self, queries: QueriesLike, progress: Progress | bool | None = None) -> Tracks:
        """Follow queries through the whole video, forwards and backwards in time.

        Args:
            queries: in frames and pixels of the video, whatever `Queries.of` takes.
            progress: as `PointTracker.track` takes it.

        Returns:
            Tracks in pixels of the video.

        Raises:
            UserError: a query lies outside the video, or frames cannot be decoded.
        """
        tracker, video, queries = self._tracker, self._video, Queries.of(queries)
        queries.check(video.size, len(video))
        with reported(progress, len(video), "tracking") as on_progress:
            found = follow_blocks(
                tracker.head,
                tracker.fine_queries(queries, video.size),
                len(video),
                self._features,
                tracker.config.inference,
                self._memory,
                on_progress,
            )
        tracks = tracker.tracks_of(found.xy, found.confidence, queries, video.size, video.fps)
        frames = video.source_frames
        return replace(tracks, start=frames.start, stride=frames.step)

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
