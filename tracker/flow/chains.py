"""Dense optical flow, chained over frames: OpenCV's DIS (Kroeger et al., arXiv 1603.03590).

A chain may jump over frames, as in MFT (Neoral et al., arXiv 2305.12998): fewer links drift less,
and reach across a blurred or covered frame. Positions come with how sure the worst round trip so
far leaves us, from 1 down to 0 for a lost point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tracker.flow.fields import FlowBetweenFrames
from tracker.memory import BoundedMemory
from tracker.points.geometry import inside_frame
from tracker.progress import Share, in_silence

SMALLEST_SIDE = 16
"""Smaller frames have no flow."""

MAX_ROUND_TRIP = 3.0
"""Forward-backward error that counts as lost, in 256ths of the frame's longer side."""

JUMPS = (1, 4, 16)
"""Lengths in frames of the links that a chain is made of, shortest first."""

AGREEMENT = 2.0
"""How far a longer link may lead from where shorter ones do, in 256ths of the longer side: it may
correct their drift, but over many frames smooth flow takes a background for a point before it."""

BRIDGE_ROUND_TRIP = 0.5
"""The largest round trip, in the same 256ths, of a longer link where shorter ones are lost."""

DRIFT = 0.05
"""How much of the sum of squared errors a link must be able to save to be followed, in squares of
256ths: where shorter ones leave next to nothing to correct, its flow is not computed."""

LINK_ERROR = 0.1
"""What a link is off by even where its round trip is perfect, in the same 256ths."""


@dataclass(frozen=True)
class FlowProposals:
    """Where optical flow leads from places that are known.

    Attributes:
        xy: `(B, N, T, 2)` fine pixels.
        certainty: `(B, N, T)` in 0..1; 0 where flow is lost.
    """

    xy: Tensor
    certainty: Tensor

    def select_points(self, index: slice | Tensor) -> FlowProposals:
        """Return some of the points."""
        return FlowProposals(self.xy[:, index], self.certainty[:, index])


def follow_link(
    flow: FlowBetweenFrames, start: int, end: int, xy: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Follow points from one image to another.

    Args:
        flow: between the images of a clip.
        start: index of the image that they are in.
        end: index of the other.
        xy: `(N, 2)` raster pixels in the first image.

    Returns:
        Positions in the second image `(N, 2)`, and by how much the way back misses the start,
        `(N,)` in 256ths of the longer side.
    """
    moved = flow.lead(start, end, xy)
    returned = flow.lead(end, start, moved)
    return moved, np.linalg.norm(returned - xy, axis=-1) * 256 / flow.side


@dataclass(frozen=True)
class Chains:
    """Where N points have been followed to in T frames.

    Attributes:
        xy: `(N, T, 2)` raster pixels of the images.
        certainty: `(N, T)` from 1 down to 0, where a point has not been found.
        variance: `(N, T)` sum of all links' squared errors, in squares of 256ths.
    """

    xy: np.ndarray
    certainty: np.ndarray
    variance: np.ndarray

    def link(
        self,
        rows: np.ndarray,
        start: int,
        end: int,
        flow: FlowBetweenFrames,
        may_find: bool,
    ) -> None:
        """Follow points from frame `start` to `end` where that is better than what is known.

        Args:
            rows: indices of the points.
            start: frame that the link leads from.
            end: frame that it leads to.
            flow: between the frames.
            may_find: whether the link counts even where no other confirms it and its round trip
                is not among the best.
        """
        # None are followed where links so far leave next to nothing to correct.
        rows = rows[self.variance[rows, end] - self.variance[rows, start] > DRIFT]
        if not rows.size:
            return
        moved, error = follow_link(flow, start, end, self.xy[rows, start])
        certainty = np.minimum(self.certainty[rows, start], 1 - error / MAX_ROUND_TRIP)
        variance = self.variance[rows, start] + error**2 + LINK_ERROR**2
        apart = np.linalg.norm(moved - self.xy[rows, end], axis=-1) * 256 / flow.side
        corrects = (apart < AGREEMENT) & (variance < self.variance[rows, end])
        finds = may_find | (error < BRIDGE_ROUND_TRIP)
        better = (certainty > 0) & np.where(self.certainty[rows, end] > 0, corrects, finds)
        rows = rows[better]
        self.xy[rows, end], self.certainty[rows, end] = moved[better], certainty[better]
        self.variance[rows, end] = variance[better]


def chain_flow(
    images: Sequence[np.ndarray] | np.ndarray,
    xy: np.ndarray,
    certainty: np.ndarray,
    size: tuple[int, int],
    jumps: Sequence[int] = JUMPS,
    finest_scale: int = 0,
    first_image: int = 0,
    memory: BoundedMemory | None = None,
    on_share: Share = in_silence,
) -> tuple[np.ndarray, np.ndarray]:
    """Follow points through T images: on from the last each is known in, and back from the first.

    Of the links that lead to a frame and agree, the one is taken after which the squared errors of
    all links so far sum up to the least.

    Args:
        images: T of `(h, w) uint8`.
        xy: `(N, T, 2)` raster pixels, of frames of `size`, where a point is known.
        certainty: `(N, T)` how sure each is there; 0 where it is not known.
        size: `(W, H)` that positions are told in; the images may be smaller.
        jumps: lengths of links in frames, ascending.
        finest_scale: flow is computed on images halved so many times.
        first_image: number of the first image in the video.
        memory: of the flow between a video's images; None remembers it for this call.
        on_share: called with the share of the links that were looked at.

    Returns:
        Positions `(N, T, 2) float32` and `certainty (N, T) float32`. Where a point is lost or
        outside the frame `certainty` is 0, and the position means nothing.
    """
    (height, width), length = images[0].shape, len(images)
    scale = np.array([width / size[0], height / size[1]], np.float32)
    known = certainty > 0
    chains = Chains(
        xy.astype(np.float32) * scale,
        certainty.astype(np.float32),
        np.where(known, 0, np.inf).astype(np.float32),
    )
    someday = known.any(1)
    first, last = known.argmax(1), length - 1 - known[:, ::-1].argmax(1)
    flow = FlowBetweenFrames(images, finest_scale, first_image, memory)
    forward = [(t, t - jump) for t in range(length) for jump in jumps if jump <= t]
    backward = [(length - 1 - t, length - 1 - before) for t, before in forward]
    links = forward + backward if min(height, width) >= SMALLEST_SIDE else []
    for done, (t, before) in enumerate(links, start=1):
        beyond = last < t if before < t else first > t
        rows = np.flatnonzero(someday & beyond & (chains.certainty[:, before] > 0))
        if rows.size:
            chains.link(rows, before, t, flow, may_find=abs(t - before) == jumps[0])
            on_share(done / len(links))
    # What was given is judged as it was given: scaled, a point on the border may be rounded out.
    inside = np.where(known, inside_frame(xy, size), inside_frame(chains.xy, (width, height)))
    return chains.xy / scale, chains.certainty * inside
