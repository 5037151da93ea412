"""Running the head over videos of any length with constant memory.

A video is cut into blocks of frames. A block's features are joined with those of the `context`
frames beside it, whose tracks are known already; the head then follows the points through both,
and the block's part is the result. Blocks are visited forwards, so that every point is followed
from its query to the end, and then backwards for points that were asked for later.

Positions here are fine pixels, one video at a time (B = 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tracker.errors import UserError
from tracker.flow.chains import JUMPS, FlowProposals, chain_flow
from tracker.head.tracking_head import (
    FrameFeatures,
    QueryDescriptors,
    TrackingHead,
    confidence_of,
)
from tracker.tracking.config import InferenceConfig

SMALLEST_CHUNK = 8
SURE_ENOUGH = 0.5
"""Flow starts again in a new block from points that are visible and certain with more than this."""

SEEN = (10.0, -10.0)
"""Logits of visibility and of being uncertain that leave no doubt."""


@dataclass(frozen=True)
class FollowedFrames:
    """What is known of N points in T frames.

    Attributes:
        xy: `(N, T, 2)` fine pixels.
        visibility_logits: `(N, T, 2)` logits of visibility and of being uncertain.
    """

    xy: Tensor
    visibility_logits: Tensor

    @property
    def confidence(self) -> Tensor:
        """`(N, T)` probability of being visible and certain."""
        return confidence_of(self.visibility_logits)

    def select_frames(self, index: slice) -> FollowedFrames:
        """Return a copy of some of the frames; a view would keep all of them in memory."""
        return FollowedFrames(self.xy[:, index].clone(), self.visibility_logits[:, index].clone())

    def put(self, points: Tensor, index: slice, found: FollowedFrames) -> None:
        """Overwrite the tracks of `points` in the frames `index`."""
        self.xy[points, index], self.visibility_logits[points, index] = (
            found.xy,
            found.visibility_logits,
        )


class Follower:
    """Follows points from block to neighbouring block, in one direction of time.

    Args:
        head: in eval mode.
        queries: `(N, 3)` as frame and fine pixels.
        config: how much to do at once.
        backward: True where each block lies before the last one. Points then come in by
            `take_over`; forwards they do as soon as their query's frame does.
    """

    def __init__(
        self, head: TrackingHead, queries: Tensor, config: InferenceConfig, backward: bool = False
    ) -> None:
        self.head, self.config, self.backward = head, config, backward
        self.frame = queries[:, 0].round().long()
        self.xy = queries[:, 1:]
        self.active = torch.zeros(len(queries), dtype=torch.bool, device=queries.device)
        self.descriptors: QueryDescriptors | None = None
        self._features: FrameFeatures | None = None
        self._known: FollowedFrames | None = None
        self._chunk = config.point_chunk or (32 if queries.is_cpu else 512)

    def add_context(self, features: FrameFeatures) -> None:
        """Take frames as context in which no track is known yet."""
        self._remember(features, self._blank(features.num_frames))

    def take_over(
        self, points: Tensor, descriptors: QueryDescriptors, tracks: FollowedFrames
    ) -> None:
        """Go on with points that another follower has followed.

        Args:
            points: `(N,) bool`, which ones.
            descriptors: of all N.
            tracks: of all N in the frames that are kept as context, or more.
        """
        self.descriptors = descriptors
        self.active = self.active | points
        if self._known is not None:
            kept = slice(0, self._known.xy.shape[1])
            self._known.xy[points] = tracks.xy[points, kept]
            self._known.visibility_logits[points] = tracks.visibility_logits[points, kept]

    @torch.inference_mode()
    def push(
        self,
        features: FrameFeatures,
        start: int,
        on_share: Callable[[float], None] = lambda share: None,
    ) -> FollowedFrames:
        """Follow the points through the next block, whose first frame is `start`.

        Points that are not active stay at their query, with logits that say invisible. `on_share`
        is called with the share of the work that is done.
        """
        length = features.num_frames
        before = self.active
        if not self.backward:
            self._take_queries(features, start)
        joined, offset = self._join(features)
        first = start - offset
        frames = torch.arange(first, first + joined.num_frames, device=self.xy.device)
        time_to_query = frames[None] - self.frame[:, None]
        everything = self._blank(joined.num_frames)
        mask = torch.zeros_like(time_to_query, dtype=torch.bool)
        if self._known is not None:
            beside = slice(length, None) if self.backward else slice(0, offset)
            everything.put(torch.ones_like(before), beside, self._known)
            # A point that just came in has no past: there the coarse match must look for it.
            mask[:, beside] = before[:, None]
        if self.descriptors is not None and self.active.any():
            flow = self._propose(joined, start, length, before)
            rows, done = self.active.nonzero()[:, 0], 0
            while done < len(rows):
                part = rows[done : done + self._chunk]
                output = self._try_to_follow(
                    joined, self.descriptors, part, time_to_query, flow, mask, everything
                )
                if output is None:
                    self._follow_fewer(len(part))
                    continue
                everything.put(part, slice(None), output)
                done += len(part)
                on_share(done / len(rows))
        self._remember(joined, everything)
        return everything.select_frames(slice(0, length) if self.backward else slice(offset, None))

    def _join(self, features: FrameFeatures) -> tuple[FrameFeatures, int]:
        """Join a block's features with their context; return how many frames come before it."""
        if self._features is None:
            return features, 0
        if self.backward:
            return FrameFeatures.join([features, self._features]), 0
        return FrameFeatures.join([self._features, features]), self._features.num_frames

    def _propose(
        self, joined: FrameFeatures, start: int, length: int, before: Tensor
    ) -> FlowProposals | None:
        """Follow optical flow through a block, from queries in it and from tracks beside it.

        In the context itself the proposals are the tracks that are known.

        Args:
            joined: features of the block and of its context.
            start: first frame of the block.
            length: frames of the block.
            before: `(N,) bool`, the points that were followed up to this block.
        """
        if joined.gray is None:
            return None
        beside = joined.num_frames - length
        xy = self.xy[:, None].repeat(1, joined.num_frames, 1)
        certainty = torch.zeros_like(xy[..., 0])
        if self._known is not None:
            old = slice(length, None) if self.backward else slice(0, beside)
            known = self._known.confidence
            xy[:, old] = self._known.xy
            certainty[:, old] = torch.where(known > SURE_ENOUGH, known, 0) * before[:, None]
        arriving = (self.active & ~before).nonzero()[:, 0]
        first = start if self.backward else start - beside
        xy[arriving], certainty[arriving, self.frame[arriving] - first] = self.xy[arriving, None], 1
        # The block, and as many frames beside it as a chain can jump from.
        near = min(beside, max(JUMPS))
        part = slice(0, length + near) if self.backward else slice(beside - near, None)
        places, certain = chain_flow(
            joined.gray[part],
            xy[:, part].float().cpu().numpy(),
            certainty[:, part].float().cpu().numpy(),
            joined.size,
        )
        xy[:, part] = torch.from_numpy(places).to(xy)
        certainty[:, part] = torch.from_numpy(certain).to(certainty)
        return FlowProposals(xy[None], certainty[None])

    def _try_to_follow(
        self,
        features: FrameFeatures,
        queries: QueryDescriptors,
        rows: Tensor,
        time_to_query: Tensor,
        flow: FlowProposals | None,
        mask: Tensor,
        everything: FollowedFrames,
    ) -> FollowedFrames | None:
        """Follow the points `rows`; return None where the GPU has too little memory."""
        try:
            output = self.head.follow(
                features,
                queries.select_points(rows),
                time_to_query[rows][None],
                flow and flow.select_points(rows),
                (
                    mask[rows][None],
                    everything.xy[rows][None],
                    everything.visibility_logits[rows][None],
                ),
                self.config.iterations,
            )
        except torch.cuda.OutOfMemoryError:
            return None
        # Training does not judge the query's own frame, where the point is known to be seen.
        here = (time_to_query[rows] == 0)[..., None]
        visibility_logits = torch.where(
            here, output.visibility_logits[-1].new_tensor(SEEN), output.visibility_logits[-1][0]
        )
        return FollowedFrames(output.xy[-1][0], visibility_logits)

    def _follow_fewer(self, points: int) -> None:
        """Halve the points at a time, now that nothing holds on to what the attempt allocated."""
        torch.cuda.empty_cache()
        self._chunk = points // 2
        if self._chunk < SMALLEST_CHUNK:
            raise UserError(
                f"the GPU ran out of memory with {points} points at a time; lower "
                "inference.block or fine_size, or run on the CPU"
            )

    def _take_queries(self, features: FrameFeatures, start: int) -> None:
        """Read the descriptors of queries that lie in this block."""
        inside = (self.frame >= start) & (self.frame < start + features.num_frames)
        rows = (inside & ~self.active).nonzero()[:, 0]
        if not len(rows):
            return
        new = self.head.take_queries(features, self.xy[rows][None], self.frame[rows][None] - start)
        if self.descriptors is None:
            count = len(self.frame)
            self.descriptors = QueryDescriptors(
                [p.new_zeros((1, count, *p.shape[2:])) for p in new.patches],
                self.xy[None],
            )
        for target, value in zip(self.descriptors.patches, new.patches, strict=True):
            target[:, rows] = value
        self.active = self.active | inside

    def _blank(self, length: int) -> FollowedFrames:
        """Return tracks that stay at their query, unseen."""
        xy = self.xy[:, None].repeat(1, length, 1)
        return FollowedFrames(xy, (-xy.new_tensor(SEEN)).expand_as(xy).clone())

    def _remember(self, features: FrameFeatures, known: FollowedFrames) -> None:
        """Keep the frames nearest to the next block as its context."""
        count = min(self.config.context, features.num_frames)
        if count == 0:
            self._features = self._known = None
            return
        kept = slice(0, count) if self.backward else slice(features.num_frames - count, None)
        self._features, self._known = features.select_frames(kept).copy(), known.select_frames(kept)


def follow_blocks(
    head: TrackingHead,
    queries: Tensor,
    num_frames: int,
    features_of: Callable[[int, int], FrameFeatures],
    config: InferenceConfig,
    progress: Callable[[int, int], None],
) -> FollowedFrames:
    """Follow queries through a whole video, both ways from each query's frame.

    Args:
        head: in eval mode.
        queries: `(N, 3)` as frame and fine pixels.
        num_frames: of the video.
        features_of: `(start, stop)` of a block to its features.
        config: how much to do at once.
        progress: called with frames done and frames to do in all; a frame that is visited both
            ways counts twice.

    Returns:
        All points in all frames.
    """
    starts = list(range(0, num_frames, config.block))
    block_of_query = queries[:, 0].long() // config.block
    first, last = int(block_of_query.min()), int(block_of_query.max())
    total = num_frames - starts[first] + starts[last]
    done = 0
    xy = queries[:, None, 1:].repeat(1, num_frames, 1)
    tracks = FollowedFrames(xy, torch.zeros_like(xy))

    def visit(follower: Follower, number: int, features: FrameFeatures) -> None:
        nonlocal done
        part = slice(starts[number], starts[number] + features.num_frames)
        found = follower.push(
            features,
            part.start,
            lambda share: progress(done + round(share * features.num_frames), total),
        )
        mine = follower.active
        tracks.put(mine, part, FollowedFrames(found.xy[mine], found.visibility_logits[mine]))
        done += features.num_frames

    def block_features(number: int) -> FrameFeatures:
        return features_of(starts[number], min(starts[number] + config.block, num_frames))

    forward = Follower(head, queries, config)
    if first > 0 and config.context:
        # So that a track does not depend on whether other queries began earlier.
        forward.add_context(features_of(max(0, starts[first] - config.context), starts[first]))
    backward = Follower(head, queries, config, backward=True)
    for number in range(first, len(starts)):
        features = block_features(number)
        visit(forward, number, features)
        if number == last > 0:
            backward.add_context(features)
    descriptors = forward.descriptors
    assert descriptors is not None  # every query lies in one of the blocks
    for number in range(last, 0, -1):
        nearest = tracks.select_frames(slice(starts[number], starts[number] + config.context))
        backward.take_over(block_of_query == number, descriptors, nearest)
        visit(backward, number - 1, block_features(number - 1))
    return tracks
