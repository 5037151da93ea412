"""Running the head over videos of any length with constant memory.

A video is cut into blocks of frames. A block's features are joined with those of the `context`
frames beside it, whose tracks are known already; the head then follows the points through both,
and the block's part is the result. Where the block is shorter than its context, as in streams
that get a frame at a time, points stand still in the context, and are not looked for there again.

Positions here are fine pixels, one video at a time (B = 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tracker.errors import UserError
from tracker.flow.chains import JUMPS, FlowProposals, chain_flow
from tracker.head.past import Past
from tracker.head.tracking_head import FrameFeatures, QueryDescriptors, TrackingHead
from tracker.memory import BoundedMemory
from tracker.progress import Share, in_silence, part_of
from tracker.tracking.config import InferenceConfig
from tracker.tracking.context import FollowedFrames, NearFrames
from tracker.tracking.past import KeptPasts

SMALLEST_CHUNK = 8
SURE_ENOUGH = 0.5
"""Flow starts again in a new block from points that are visible and certain with more than this."""

FLOW = 0.5
"""Share of a block's time that flow takes, roughly: it depends on sizes, and on how many points."""

SEEN = (10.0, -10.0)
"""Logits of visibility and of being uncertain that leave no doubt."""


@dataclass(frozen=True)
class Span:
    """N points in the frames of a block and of its context.

    Attributes:
        time_to_query: `(N, T)` frames since each point's query.
        tracks: what is known, and then what is found.
        mask: `(N, T) bool`, where something is known.
        flow: where optical flow leads; None where nothing reads it.
    """

    time_to_query: Tensor
    tracks: FollowedFrames
    mask: Tensor
    flow: FlowProposals | None


class Follower:
    """Follows points from block to neighbouring block, in one direction of time.

    Args:
        head: in eval mode.
        queries: `(N, 3)` as frame and fine pixels.
        config: how much to do at once.
        memory: of the flow between the video's frames.
        backward: True where each block lies before the last one. Points then come in by
            `take_over`; forwards they do as soon as their query's frame does.

    Attributes:
        near: features of the context.
        known: tracks in the context; None before the first block.
    """

    def __init__(
        self,
        head: TrackingHead,
        queries: Tensor,
        config: InferenceConfig,
        memory: BoundedMemory,
        backward: bool = False,
    ) -> None:
        self.head, self.config, self.memory, self.backward = head, config, memory, backward
        self.frame = queries[:, 0].round().long()
        self.xy = queries[:, 1:]
        self.active = torch.zeros(len(queries), dtype=torch.bool, device=queries.device)
        self.left = torch.zeros_like(self.active)
        self.descriptors: QueryDescriptors | None = None
        self.near = NearFrames(config.context, backward)
        self.known: FollowedFrames | None = None
        self.pasts = KeptPasts(len(queries), queries.device)
        self._chunk = config.point_chunk or (32 if queries.is_cpu else 512)

    def add_context(self, features: FrameFeatures) -> None:
        """Take frames as context in which no track is known yet."""
        self._remember(features, self._blank(self.near.num_frames + features.num_frames))

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
        if self.known is not None:
            kept = slice(0, self.known.xy.shape[1])
            self.known.xy[points] = tracks.xy[points, kept]
            self.known.visibility_logits[points] = tracks.visibility_logits[points, kept]

    def leave(self, points: Tensor) -> None:
        """Follow the points `(N,) bool` no longer; they keep their numbers."""
        self.active, self.left = self.active & ~points, self.left | points

    def select(self, points: Tensor) -> None:
        """Go on with some of the points, indices `(M,)`, alone."""
        self.frame, self.xy, self.active = self.frame[points], self.xy[points], self.active[points]
        self.left = self.left[points]
        self.pasts.select(points)
        self.descriptors = self.descriptors and self.descriptors.select_points(points)
        self.known = self.known and self.known.select_points(points)

    def add(self, queries: Tensor) -> None:
        """Take more points, `(M, 3)`, whose frames lie in the context or have yet to come."""
        new = Follower(self.head, queries, self.config, self.memory, self.backward)
        if self.known is not None:
            blank = new._blank(self.known.xy.shape[1])
            self.known = FollowedFrames.join_points([self.known, blank])
        self.frame = torch.cat([self.frame, new.frame])
        self.xy = torch.cat([self.xy, new.xy])
        self.active = torch.cat([self.active, new.active])
        self.left = torch.cat([self.left, new.left])
        self.pasts.add(len(queries))
        if self.descriptors is not None:
            self.descriptors = self.descriptors.make_room(new.xy[None])

    @torch.inference_mode()
    def push(
        self, features: FrameFeatures, start: int, on_share: Share = in_silence
    ) -> FollowedFrames:
        """Follow the points through the next block, whose first frame is `start`.

        Points that are not active stay at their query, with logits that say invisible. `on_share`
        is called with the share of the work that is done.
        """
        length, before = features.num_frames, self.active
        offset = 0 if self.backward else self.near.num_frames
        if not self.backward:
            self._take_queries(features, start)
        span = self._span(features, start, before, part_of(on_share, 0, FLOW))
        on_followed = on_share if span.flow is None else part_of(on_share, FLOW, 1)
        done, total = 0, max(1, int(self.active.sum()))

        def on_points(count: int) -> None:
            nonlocal done
            done += count
            on_followed(done / total)

        refines = self.head.config.iterations > 0 and self.config.iterations != 0
        standing = before & (refines and offset > 0 and length < self.config.context)
        if standing.any():
            self._follow(features, standing, span, True, on_points)
        self.pasts.turn()
        moving = self.active & ~standing
        if moving.any():
            self._follow(self.near.join(features), moving, span, False, on_points)
        self._remember(features, span.tracks)
        return span.tracks.select_frames(slice(0, length) if self.backward else slice(offset, None))

    def _span(self, features: FrameFeatures, start: int, before: Tensor, on_share: Share) -> Span:
        """Collect what is known before a block is followed.

        Args:
            features: of the block.
            start: first frame of the block.
            before: `(N,) bool`, the points that were followed up to this block.
            on_share: called as flow is followed.
        """
        length, beside = features.num_frames, self.near.num_frames
        first = start if self.backward else start - beside
        frames = torch.arange(first, first + length + beside, device=self.xy.device)
        time_to_query = frames[None] - self.frame[:, None]
        tracks = self._blank(length + beside)
        mask = torch.zeros_like(time_to_query, dtype=torch.bool)
        if self.known is not None:
            old = slice(length, None) if self.backward else slice(0, beside)
            tracks.put(torch.ones_like(before), old, self.known)
            # A point that just came in has no past: there the coarse match must look for it.
            mask[:, old] = before[:, None]
        flow = None
        if features.gray is not None and self.active.any():
            flow = self._propose(features, first, before, on_share)
        return Span(time_to_query, tracks, mask, flow)

    def _propose(
        self, features: FrameFeatures, first: int, before: Tensor, on_share: Share
    ) -> FlowProposals:
        """Follow optical flow through a block, from queries in it and from tracks beside it.

        In the context itself the proposals are the tracks that are known.

        Args:
            features: of the block.
            first: first frame of block and context.
            before: `(N,) bool`, the points that were followed up to this block.
            on_share: called as links are followed.
        """
        length, beside = features.num_frames, self.near.num_frames
        xy = self.xy[:, None].repeat(1, length + beside, 1)
        certainty = torch.zeros_like(xy[..., 0])
        if self.known is not None:
            old = slice(length, None) if self.backward else slice(0, beside)
            known = self.known.confidence
            xy[:, old] = self.known.xy
            certainty[:, old] = torch.where(known > SURE_ENOUGH, known, 0) * before[:, None]
        arriving = (self.active & ~before).nonzero()[:, 0]
        xy[arriving], certainty[arriving, self.frame[arriving] - first] = self.xy[arriving, None], 1
        # The block, and as many frames beside it as a chain can jump from.
        near = min(beside, max(JUMPS))
        part = slice(0, length + near) if self.backward else slice(beside - near, None)
        places, certain = chain_flow(
            self.near.join_gray(features)[part],
            xy[:, part].float().cpu().numpy(),
            certainty[:, part].float().cpu().numpy(),
            features.size,
            first_image=first + part.start,
            memory=self.memory,
            on_share=on_share,
        )
        xy[:, part] = torch.from_numpy(places).to(xy)
        certainty[:, part] = torch.from_numpy(certain).to(certainty)
        return FlowProposals(xy[None], certainty[None])

    def _follow(
        self,
        features: FrameFeatures,
        points: Tensor,
        span: Span,
        stands: bool,
        on_points: Callable[[int], None],
    ) -> None:
        """Follow points, chunk by chunk, and write where they are into the span.

        Args:
            features: of block and context; where points stand, of the block.
            points: `(N,) bool`, which ones.
            span: of block and context.
            stands: whether the points stand still in the context.
            on_points: called with the number of points of each chunk.
        """
        rows, done = points.nonzero()[:, 0], 0
        while done < len(rows):
            part = rows[done : done + self._chunk]
            if not self._try_to_follow(features, part, span, stands):
                self._follow_fewer(len(part))
                continue
            done += len(part)
            on_points(len(part))

    def _try_to_follow(
        self, features: FrameFeatures, rows: Tensor, span: Span, stands: bool
    ) -> bool:
        """Follow the points `rows`; return False where the GPU has too little memory."""
        assert self.descriptors is not None  # points are active once they have descriptors
        queries, time_to_query = self.descriptors.select_points(rows), span.time_to_query[rows]
        block = slice(span.mask.shape[1] - features.num_frames, None)
        past = self.pasts.of(rows, self._past_of) if stands else None
        known = span.tracks.select_points(rows).select_frames(block)
        try:
            output = self.head.follow(
                features,
                queries,
                time_to_query[None],
                span.flow and span.flow.select_points(rows),
                (span.mask[rows, block][None], known.xy[None], known.visibility_logits[None]),
                self.config.iterations,
                past,
            )
        except torch.cuda.OutOfMemoryError:
            return False
        # Training does not judge the query's own frame, where the point is known to be seen.
        here = (time_to_query[:, block] == 0)[..., None]
        logits = output.visibility_logits[-1]
        logits = torch.where(here, logits.new_tensor(SEEN), logits[0])
        found = FollowedFrames(output.xy[-1][0], logits)
        span.tracks.put(rows, block, found)
        if past is not None:
            assert output.matches is not None  # points stand only where something refines
            seen = self.head.correlate(features, queries, found.xy[None])
            new = Past(output.matches, found.xy[None], logits[None], seen)
            context = min(self.config.context, span.mask.shape[1])
            self.pasts.keep(rows, Past.join([past, new]), context)
        return True

    def _past_of(self, rows: Tensor) -> Past:
        """Return the past of the points `rows` in the context, where they have been followed."""
        assert self.known is not None and self.descriptors is not None
        return self.head.past_of(
            self.near.alone(),
            self.descriptors.select_points(rows),
            self.known.xy[rows][None],
            self.known.visibility_logits[rows][None],
        )

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
        """Read the descriptors of queries that lie in this block, or were added in its context."""
        stop, near = start + features.num_frames, start - self.near.num_frames
        waiting = ~self.active & ~self.left & (self.frame >= near) & (self.frame < stop)
        added = (waiting & (self.frame < start)).nonzero()[:, 0]
        if len(added):
            self._take(self.near.alone(), near, added)
        arrived = (waiting & (self.frame >= start)).nonzero()[:, 0]
        if len(arrived):
            self._take(features, start, arrived)
        self.active = self.active | waiting

    def _take(self, features: FrameFeatures, first: int, rows: Tensor) -> None:
        """Read the descriptors of the queries `rows` in features whose first frame is `first`."""
        new = self.head.take_queries(features, self.xy[rows][None], self.frame[rows][None] - first)
        if self.descriptors is None:
            none = QueryDescriptors([x[:, :0] for x in new.patches], self.xy[None, :0])
            self.descriptors = none.make_room(self.xy[None])
        for target, value in zip(self.descriptors.patches, new.patches, strict=True):
            target[:, rows] = value

    def _blank(self, length: int) -> FollowedFrames:
        """Return tracks that stay at their query, unseen."""
        xy = self.xy[:, None].repeat(1, length, 1)
        return FollowedFrames(xy, (-xy.new_tensor(SEEN)).expand_as(xy).clone())

    def _remember(self, features: FrameFeatures, tracks: FollowedFrames) -> None:
        """Keep the frames nearest to the next block as its context."""
        self.near.add(features)
        count = self.near.num_frames
        if count == 0:
            self.known = None
            return
        near = slice(0, count) if self.backward else slice(tracks.xy.shape[1] - count, None)
        self.known = tracks.select_frames(near)
