"""Running the head over videos of any length with constant memory.

A video is cut into blocks of frames. Each block's features are computed once and joined with those
of the `context` frames beside it, whose tracks are known already; the head then follows the points
through both, and the block's part is the result. Blocks are visited forwards, so that every point
is followed from its query to the end, and then backwards for points that were asked for later.

Positions here are fine pixels, one video at a time (B = 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tracker.errors import UserError
from tracker.flow import FlowProposals, chain_flow
from tracker.head.tracking_head import (
    FrameFeatures,
    QueryDescriptors,
    TrackingHead,
    confidence_of,
)

SMALLEST_CHUNK = 8
SURE_ENOUGH = 0.5
"""Flow starts again in a new block from points that are visible and certain with more than this."""


@dataclass(frozen=True)
class InferenceConfig:
    """How videos are cut up.

    Attributes:
        block: frames followed at once.
        context: frames beside a block that are followed along with it.
        point_chunk: points followed at once; None takes 32 on a CPU, whose caches they should
            fit, and 512 on a GPU.
        iterations: refinement steps; None takes what the head was trained with.
        shown_from: a point is shown where it is visible and certain with more than this
            probability.
    """

    block: int = 32
    context: int = 16
    point_chunk: int | None = None
    iterations: int | None = None
    shown_from: float = 0.1

    def __post_init__(self) -> None:
        if self.block < 1 or self.context < 0 or (self.point_chunk or 1) < 1:
            raise UserError(
                f"block {self.block}, context {self.context}, point_chunk {self.point_chunk}: "
                "use positive numbers"
            )
        if not 0 <= self.shown_from < 1:
            raise UserError(f"inference.shown_from={self.shown_from} must be from 0 to below 1")


@dataclass(frozen=True)
class FollowedFrames:
    """What is known of N points in T frames.

    Attributes:
        xy: `(N, T, 2)` fine pixels.
        judged: `(N, T, 2)` logits of visibility and of being uncertain.
    """

    xy: Tensor
    judged: Tensor

    @property
    def confidence(self) -> Tensor:
        """`(N, T)` probability of being visible and certain."""
        return confidence_of(self.judged)


class Follower:
    """Follows points from block to neighbouring block, in one direction of time.

    Args:
        head: in eval mode.
        queries: `(N, 3)` as frame and fine pixels.
        config: how much to do at once.
        backward: True where each block lies before the last one.
    """

    def __init__(
        self, head: TrackingHead, queries: Tensor, config: InferenceConfig, backward: bool = False
    ) -> None:
        self.head, self.config, self.backward = head, config, backward
        self.frame = queries[:, 0].round().long()
        self.xy = queries[:, 1:]
        self._features: FrameFeatures | None = None
        self._known: FollowedFrames | None = None
        self._flow: FlowProposals | None = None
        self.descriptors: QueryDescriptors | None = None
        self._has_descriptor = torch.zeros(len(queries), dtype=torch.bool, device=queries.device)
        self._chunk = config.point_chunk or (32 if queries.is_cpu else 512)

    def adopt(self, descriptors: QueryDescriptors) -> None:
        """Take over all queries' descriptors from a follower that has seen their frames."""
        self.descriptors = descriptors
        self._has_descriptor[:] = True

    def look_back(self, features: FrameFeatures) -> None:
        """Take frames before the first block as context, in which no track is known yet."""
        self.enter(features, self._blank(features.num_frames))

    @torch.inference_mode()
    def push(self, features: FrameFeatures, start: int) -> FollowedFrames:
        """Follow the points through the next block, whose first frame is `start`.

        Points whose query lies ahead in time of all that was seen stay at their query, with
        logits that say invisible.
        """
        length = features.num_frames
        had_descriptor = self._has_descriptor.clone()
        self._take_queries(features, start)
        joined, offset = features, 0
        if self._features is not None:
            parts = [features, self._features] if self.backward else [self._features, features]
            joined = FrameFeatures.join(parts)
            offset = 0 if self.backward else self._features.num_frames
        first = start - offset
        frames = torch.arange(first, first + joined.num_frames, device=self.xy.device)
        time_to_query = frames[None] - self.frame[:, None]
        everything = self._blank(joined.num_frames)
        mask = torch.zeros_like(time_to_query, dtype=torch.bool)
        if self._known is not None:
            old = slice(length, None) if self.backward else slice(0, offset)
            everything.xy[:, old], everything.judged[:, old] = self._known.xy, self._known.judged
            # A point that just came in has no past: there the coarse match must look for it.
            mask[:, old] = had_descriptor[:, None]
        flow = self._propose(joined, start, length, had_descriptor)
        active = self._has_descriptor.nonzero()[:, 0]
        for rows in active.split(self._chunk):
            self._follow(joined, rows, time_to_query, flow, mask, everything)
        new = slice(0, length) if self.backward else slice(offset, None)
        result = FollowedFrames(everything.xy[:, new], everything.judged[:, new])
        self.enter(joined, everything, flow)
        return result

    def _propose(
        self, joined: FrameFeatures, start: int, length: int, known: Tensor
    ) -> FlowProposals | None:
        """Follow optical flow through a block, from queries in it and from tracks beside it."""
        if joined.gray is None or not self.head.config.use_flow:
            return None
        beside = joined.num_frames - length
        xy = self.xy[:, None].repeat(1, joined.num_frames, 1)
        sure = torch.zeros_like(xy[..., 0])
        old = slice(length, None) if self.backward else slice(0, beside)
        if self._flow is not None:
            xy[:, old], sure[:, old] = self._flow.xy[0], self._flow.sure[0]
        # The block, and one frame beside it.
        near = min(beside, 1)
        block = slice(0, length + near) if self.backward else slice(beside - near, None)
        first = start if self.backward else start - near
        inside = (self.frame >= start) & (self.frame < start + length) & ~known
        edge = length - 1 + near if self.backward else 0
        frame = torch.where(inside, self.frame - first, edge)
        begin, trust = self.xy.clone(), inside.to(sure)
        if self._known is not None:
            nearest = 0 if self.backward else -1
            begin[known] = self._known.xy[known, nearest]
            trust[known] = self._known.confidence[known, nearest]
        trust = torch.where(trust > SURE_ENOUGH, trust, 0)
        size = joined.gray.shape[2], joined.gray.shape[1]
        scale = np.float32([size[0] / joined.size[0], size[1] / joined.size[1]])
        places, certain = chain_flow(
            joined.gray[block],
            frame.cpu().numpy(),
            begin.float().cpu().numpy() * scale,
            trust.float().cpu().numpy(),
        )
        new = slice(0, length) if self.backward else slice(near, None)
        part = slice(0, length) if self.backward else slice(beside, None)
        xy[:, part] = torch.from_numpy(places[:, new] / scale).to(xy)
        sure[:, part] = torch.from_numpy(certain[:, new]).to(sure)
        return FlowProposals(xy[None], sure[None])

    def _follow(
        self,
        features: FrameFeatures,
        rows: Tensor,
        time_to_query: Tensor,
        flow: FlowProposals | None,
        mask: Tensor,
        everything: FollowedFrames,
    ) -> None:
        """Follow the points `rows` and write into `everything`; in pieces if memory is short."""
        try:
            output = self.head.follow(
                features,
                self.descriptors.points(rows),
                time_to_query[rows][None],
                flow and flow.points(rows),
                (mask[rows][None], everything.xy[rows][None], everything.judged[rows][None]),
                self.config.iterations,
            )
        except torch.cuda.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            self._chunk = len(rows) // 2
            if self._chunk < SMALLEST_CHUNK:
                raise UserError(
                    f"the GPU ran out of memory with {len(rows)} points at a time; lower "
                    "inference.block or fine_size, or run on the CPU"
                ) from error
            for part in rows.split(self._chunk):
                self._follow(features, part, time_to_query, flow, mask, everything)
            return
        everything.xy[rows] = output.xy[-1][0]
        everything.judged[rows] = output.judged[-1][0]

    def _take_queries(self, features: FrameFeatures, start: int) -> None:
        """Read the descriptors of queries that lie in this block."""
        inside = (self.frame >= start) & (self.frame < start + features.num_frames)
        rows = (inside & ~self._has_descriptor).nonzero()[:, 0]
        if not len(rows):
            return
        new = self.head.take_queries(features, self.xy[rows][None], self.frame[rows][None] - start)
        if self.descriptors is None:
            count = len(self.frame)
            self.descriptors = QueryDescriptors(
                [v.new_zeros((1, count, *v.shape[2:])) for v in new.vectors],
                [p.new_zeros((1, count, *p.shape[2:])) for p in new.patches],
                self.xy[None],
            )
        for target, value in zip(
            self.descriptors.vectors + self.descriptors.patches,
            new.vectors + new.patches,
            strict=True,
        ):
            target[:, rows] = value
        self._has_descriptor[rows] = True

    def _blank(self, length: int) -> FollowedFrames:
        xy = self.xy[:, None].repeat(1, length, 1)
        judged = torch.full_like(xy, -10.0)
        judged[..., 1] = 10.0
        return FollowedFrames(xy, judged)

    def enter(
        self, features: FrameFeatures, known: FollowedFrames, flow: FlowProposals | None = None
    ) -> None:
        """Stand beside frames whose tracks are known; those nearest to the next block are kept."""
        count = min(self.config.context, features.num_frames)
        if count == 0:
            self._features = self._known = self._flow = None
            return
        kept = slice(0, count) if self.backward else slice(features.num_frames - count, None)
        # Copies, or the views would keep all the frames that they were cut from.
        self._features = features.frames(kept).copy()
        self._known = FollowedFrames(known.xy[:, kept].clone(), known.judged[:, kept].clone())
        self._flow = flow and FlowProposals(
            flow.xy[:, :, kept].clone(), flow.sure[:, :, kept].clone()
        )


def follow_blocks(
    head: TrackingHead,
    queries: Tensor,
    num_frames: int,
    features_of: Callable[[int, int], FrameFeatures],
    config: InferenceConfig,
    on_block: Callable[[int, int], None] = lambda done, total: None,
) -> FollowedFrames:
    """Follow queries through a whole video, both ways from each query's frame.

    Args:
        queries: `(N, 3)` as frame and fine pixels.
        features_of: `(start, stop)` of a block to its features.
        on_block: called with frames done and frames to do in all.

    Returns:
        All points in all frames.
    """
    starts = list(range(0, num_frames, config.block))
    block_of_query = queries[:, 0].long() // config.block
    first, last = int(block_of_query.min()), int(block_of_query.max())
    total = (len(starts) - first) + last
    done = 0
    forward = Follower(head, queries, config)
    xy = queries[:, None, 1:].repeat(1, num_frames, 1)
    judged = torch.zeros_like(xy)
    if first > 0 and config.context:
        # So that a track does not depend on whether other queries began earlier.
        forward.look_back(features_of(max(0, starts[first] - config.context), starts[first]))
    for number in range(first, len(starts)):
        start, stop = starts[number], min(starts[number] + config.block, num_frames)
        features = features_of(start, stop)
        if number == last:
            last_features = features  # where backward tracking starts
        result = forward.push(features, start)
        xy[:, start:stop], judged[:, start:stop] = result.xy, result.judged
        done += 1
        on_block(done, total)
    if last == 0:
        return FollowedFrames(xy, judged)
    backward = Follower(head, queries, config, backward=True)
    backward.adopt(forward.descriptors)
    for number in range(last, -1, -1):
        start, stop = starts[number], min(starts[number] + config.block, num_frames)
        features = last_features if number == last else features_of(start, stop)
        if number < last:
            result = backward.push(features, start)
            later = block_of_query > number
            xy[later, start:stop] = result.xy[later]
            judged[later, start:stop] = result.judged[later]
            done += 1
            on_block(done, total)
        # Points asked for in this block keep their forward result, which is their context too.
        backward.enter(features, FollowedFrames(xy[:, start:stop], judged[:, start:stop]))
    return FollowedFrames(xy, judged)
