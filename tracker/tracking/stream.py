"""Tracks of frames that arrive a few at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tracker.errors import UserError
from tracker.memory import BoundedMemory
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.tracking.context import FollowedFrames
from tracker.tracking.follower import Follower
from tracker.tracking.follower_state import follower_state, load_follower
from tracker.tracking.model import TrackingModel
from tracker.video.arrays import array_of_frames

if TYPE_CHECKING:
    from tracker.points.queries import QueriesLike

FLOW_MEMORY = 96 * 2**20
"""Bytes of flow that a stream keeps: all pairs of frames within its context, at 640x360."""


class TrackStream:
    """Tracks of frames that arrive a few at a time; made by `PointTracker.stream`.

    Holds the backbone's last window of frames, the head's context and the flow between its frames;
    nothing that grows with the video.

    Attributes:
        queries: of the points that it follows, in the order of their tracks; frames count from the
            first that was pushed.
        num_frames: how many frames have been pushed.
    """

    def __init__(
        self, tracker: TrackingModel, queries: Queries, size: tuple[int, int], fps: float
    ) -> None:
        self._tracker, self._size, self._fps = tracker, size, fps
        # A stream has no end, so any frame number from 0 on is fine.
        self.queries = _single(queries.check(size, int(queries.t.max(initial=0)) + 1))
        self._memory = BoundedMemory(FLOW_MEMORY)
        fine = tracker.fine_queries(queries, size)
        self._follower = Follower(tracker.head, fine, tracker.config.inference, self._memory)
        self._before: np.ndarray | None = None
        self.num_frames = 0

    @torch.inference_mode()
    def push(self, frames: np.ndarray | Tensor | Sequence[Any]) -> Tracks:
        """Return the tracks of the next frames.

        A point whose query frame has not come yet is invisible and stays at its query; once it
        comes, frames before it in the same push are followed, too. Frames of one push see each
        other; what was returned never changes. The tracks' queries count frames from the first of
        this push.

        Args:
            frames: `(T, H, W, 3) uint8`, a tensor `(T, 3, H, W) uint8`, or a list of pictures.

        Raises:
            UserError: frames of another size or type.
        """
        width, height = self._size
        if len(frames) == 0:
            raise UserError("pushed no frames; push at least one")
        frames = array_of_frames(frames)
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
        tracks = self._tracker.tracks_of(xy, confidence, self.queries, self._size, self._fps)
        queries = tracks.queries - np.array([start, 0, 0], np.float32)
        return replace(tracks, queries=queries)

    def add(self, queries: QueriesLike) -> None:
        """Follow more points from the next push on; their tracks come after those of the others.

        Args:
            queries: whatever `Queries.of` takes, in frames counted from the first that was
                pushed, and pixels. Their frames may be to come, or among the last
                `inference.context` that were pushed.

        Raises:
            UserError: a query lies outside the frame, or in one that is no longer held, or names a
                point that is followed already.
        """
        queries = Queries.of(queries)
        queries.check(self._size, max(self.num_frames, int(queries.t.max(initial=0))) + 1)
        first = self.num_frames - self._follower.near.num_frames
        if len(queries) and int(queries.t.min()) < first:
            raise UserError(
                f"a query lies in frame {int(queries.t.min())}, which this stream no longer holds; "
                f"add points in frames from {first} on"
            )
        together = _single(self.queries + queries)
        self._follower.add(self._tracker.fine_queries(queries, self._size))
        self.queries = together

    def remove(self, points: Sequence[int]) -> None:
        """Follow some of the points no longer; the others keep their order.

        Args:
            points: their numbers among the tracks of a push.

        Raises:
            UserError: there is no such point, or none would be left.
        """
        count = len(self.queries)
        wrong = [point for point in points if not 0 <= point < count]
        if wrong:
            raise UserError(f"point {wrong[0]} is not one of this stream's points 0..{count - 1}")
        kept = [point for point in range(count) if point not in set(points)]
        if not kept:
            raise UserError("a stream follows at least one point; end it instead")
        self._follower.select(torch.tensor(kept, device=self._tracker.device))
        self.queries = self.queries[kept]

    def state(self) -> dict[str, Tensor]:
        """Return all that is needed to go on elsewhere, as tensors that safetensors can store."""
        width, height = self._size
        state = {
            "tracker": _stored(self._tracker.fingerprint),
            "size": torch.tensor([width, height]),
            "num_frames": torch.tensor(self.num_frames),
            "queries": torch.from_numpy(self.queries.txy.copy()),
        }
        if self.queries.names is not None:
            state["names"] = _stored(json.dumps(self.queries.names))
        if self._before is not None:
            state["before"] = torch.from_numpy(self._before.copy())
        return state | follower_state(self._follower)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on where the stream that gave the state was, as if it had not stopped.

        Args:
            state: of a stream of the same tracker and frames of the same size; its points take
                the place of this stream's.

        Raises:
            UserError: it is no state, or one of another tracker or frame size.
        """
        try:
            mark = _text(state["tracker"])
            names = json.loads(_text(state["names"])) if "names" in state else None
            width, height = (int(side) for side in state["size"])
            queries = Queries(state["queries"].numpy(), names)
            num_frames = int(state["num_frames"])
        except KeyError as error:
            raise UserError(f"this is not the state of a stream: {error} is missing") from error
        if mark != self._tracker.fingerprint:
            raise UserError("the stream's state belongs to another tracker; load that one")
        if (width, height) != self._size:
            raise UserError(
                f"the stream's state belongs to frames of {width}x{height}, and this stream takes "
                f"{self._size[0]}x{self._size[1]}"
            )
        fine = self._tracker.fine_queries(queries, self._size)
        config = self._tracker.config.inference
        follower = Follower(self._tracker.head, fine, config, self._memory)
        load_follower(follower, state)
        self._follower, self.queries, self.num_frames = follower, queries, num_frames
        self._before = state["before"].numpy().copy() if "before" in state else None
        self._memory.clear()

    def _push_block(self, frames: np.ndarray) -> FollowedFrames:
        window = self._tracker.config.backbone.window
        # With more of them a frame at a time costs twice as much, and is followed no better.
        room = min(len(frames), max(0, window - len(frames)))
        before = None if self._before is None or room == 0 else self._before[-room:]
        features = self._tracker.describe(frames, before)
        result = self._follower.push(features, self.num_frames)
        history = frames if self._before is None else np.concatenate([self._before, frames])
        self._before = history[-window:].copy()
        self.num_frames += len(frames)
        return result


def _single(queries: Queries) -> Queries:
    """Return queries of points that have one place each, for a stream never looks ahead.

    Raises:
        UserError: a point has several, or is said to be hidden.
    """
    if queries.has_anchors:
        names = [name for name in queries.names or () if name]
        twice = next((name for name in names if names.count(name) > 1), "")
        raise UserError(
            f"a stream follows each point from one place, and {twice!r} has several rows; give "
            "points different names, or track the whole video"
        )
    return queries


def _stored(text: str) -> Tensor:
    """Return a text as a tensor, for safetensors holds nothing else."""
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def _text(stored: Tensor) -> str:
    return bytes(stored.tolist()).decode()
