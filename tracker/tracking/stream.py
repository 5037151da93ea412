"""Tracks of frames that arrive a few at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.tracking.follower import FollowedFrames, Follower
from tracker.tracking.model import TrackingModel


class TrackStream:
    """Tracks of frames that arrive a few at a time; made by `PointTracker.stream`.

    Holds the backbone's last window of frames and the head's context; nothing that grows with the
    video.
    """

    def __init__(
        self, tracker: TrackingModel, queries: Queries, size: tuple[int, int], fps: float
    ) -> None:
        self._tracker, self._queries, self._size, self._fps = tracker, queries, size, fps
        fine = tracker.fine_queries(queries, size)
        self._follower = Follower(tracker.head, fine, tracker.config.inference)
        self._before: np.ndarray | None = None
        self.num_frames = 0

    @torch.inference_mode()
    def push(self, frames: np.ndarray) -> Tracks:
        """Return the tracks of the next frames `(T, H, W, 3) uint8`.

        A point whose query frame has not come yet is invisible and stays at its query; once it
        comes, frames before it in the same push are followed, too. Frames of one push see each
        other; what was returned never changes. The tracks' queries count frames from the first of
        this push.

        Raises:
            UserError: frames of another size or type.
        """
        width, height = self._size
        if len(frames) == 0:
            raise UserError("pushed no frames; push at least one")
        if frames.ndim != 4 or frames.shape[1:] != (height, width, 3) or frames.dtype != np.uint8:
            raise UserError(
                f"pushed frames have shape {frames.shape} and type {frames.dtype}; this stream "
                f"takes (T, {height}, {width}, 3) uint8"
            )
        block = self._tracker.config.inference.block
        parts = [self._push_block(frames[i : i + block]) for i in range(0, len(frames), block)]
        xy = torch.cat([part.xy for part in parts], 1)
        confidence = torch.cat([part.confidence for part in parts], 1)
        start = self.num_frames - len(frames)
        tracks = self._tracker.tracks_of(xy, confidence, self._queries, self._size, self._fps)
        queries = tracks.queries - np.array([start, 0, 0], np.float32)
        return replace(tracks, queries=queries)

    def _push_block(self, frames: np.ndarray) -> FollowedFrames:
        window = self._tracker.config.backbone.window
        room = max(0, window - len(frames))
        before = None if self._before is None or room == 0 else self._before[-room:]
        features = self._tracker.describe(frames, before)
        result = self._follower.push(features, self.num_frames)
        history = frames if self._before is None else np.concatenate([self._before, frames])
        self._before = history[-window:].copy()
        self.num_frames += len(frames)
        return result
