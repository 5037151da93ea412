"""The whole head: frozen features and frames in, tracks out.

Used in three steps, so that long videos and streams can reuse each: `describe` turns frames into
features, `take_queries` reads the queries' descriptors in their own frames, `follow` finds them in
any frames. Shapes: B videos, N points, T frames; positions are fine pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tracker.devices import bf16_products
from tracker.errors import UserError
from tracker.flow.chains import FlowProposals
from tracker.head.bridging import bridge, overrule
from tracker.head.coarse import CoarseMatch
from tracker.head.config import HeadConfig
from tracker.head.correlation import Level, sample_query_patches
from tracker.head.past import Matches, Past
from tracker.head.projection import ContentProjection
from tracker.head.refine import Candidates, RefinementStep
from tracker.head.stem import STRIDES, RgbStem


@dataclass(frozen=True)
class FrameFeatures:
    """What the head knows of T frames.

    Attributes:
        levels: of unit length; V-JEPA's first, then those of the RGB stem from fine to coarse.
        size: `(W, H)` of the fine image.
        gray: `(T, H, W) uint8` for optical flow, of a size of its own; None without.
    """

    levels: list[Level]
    size: tuple[int, int]
    gray: np.ndarray | None = None

    @property
    def num_frames(self) -> int:
        """T."""
        return self.levels[0].table.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        gray = 0 if self.gray is None else self.gray.nbytes
        return gray + sum(level.table.nbytes for level in self.levels)

    def select_frames(self, index: slice) -> FrameFeatures:
        """Return some of the frames."""
        return FrameFeatures(
            [level.select_frames(index) for level in self.levels],
            self.size,
            None if self.gray is None else self.gray[index],
        )

    def copy(self) -> FrameFeatures:
        """Return the same features in memory of their own."""
        return FrameFeatures.join([self])

    @staticmethod
    def join(parts: list[FrameFeatures]) -> FrameFeatures:
        """Concatenate along time."""
        levels = [Level.join(levels) for levels in zip(*(p.levels for p in parts), strict=True)]
        gray = None if parts[0].gray is None else np.concatenate([p.gray for p in parts])
        return FrameFeatures(levels, parts[0].size, gray)


@dataclass(frozen=True)
class QueryDescriptors:
    """What the head keeps of N queries.

    Attributes:
        patches: for each level `(B, N, P, C)`, rows first, the query itself in the middle.
        xy: `(B, N, 2)` the queries themselves.
    """

    patches: list[Tensor]
    xy: Tensor

    def select_points(self, index: slice | Tensor) -> QueryDescriptors:
        """Return some of the points."""
        return QueryDescriptors(
            [p[:, index] for p in self.patches],
            self.xy[:, index],
        )

    def make_room(self, xy: Tensor) -> QueryDescriptors:
        """Return the same with queries `xy (B, M, 2)` after them, whose patches are 0."""
        count = xy.shape[1]
        patches = [F.pad(p, (0, 0, 0, 0, 0, count)) for p in self.patches]
        return QueryDescriptors(patches, torch.cat([self.xy, xy], 1))


@dataclass(frozen=True)
class HeadOutput:
    """Tracks after the coarse match (first entry) and after each iteration.

    Attributes:
        xy: each `(B, N, T, 2)` fine pixels.
        visibility_logits: each `(B, N, T, 2)` logits of visibility and of being uncertain.
        coarse_logits: `(B, N, T, h, w)`, or None where no coarse match was needed.
        matches: what the coarse match found; None where nothing refines.
    """

    xy: list[Tensor]
    visibility_logits: list[Tensor]
    coarse_logits: Tensor | None
    matches: Matches | None = None

    @property
    def confidence(self) -> Tensor:
        """`(B, N, T)` probability of being visible and certain, after the last iteration."""
        return confidence_of(self.visibility_logits[-1])


def confidence_of(visibility_logits: Tensor) -> Tensor:
    """Probability of being visible and certain, from logits `(..., 2)` of visible and uncertain."""
    visible, uncertain = visibility_logits.unbind(-1)
    return visible.sigmoid() * (1 - uncertain.sigmoid())


class TrackingHead(nn.Module):
    """The trained part of the tracker.

    Args:
        config: sizes and branches.
        layers: of the backbone, whose features are projected together.
        channels: of each layer's features.

    Attributes:
        bf16: whether CPUs that have instructions for it may make products in bfloat16 when
            tracking; positions and logits never are.
    """

    bf16 = False

    def __init__(self, config: HeadConfig, layers: int, channels: int) -> None:
        super().__init__()
        self.config = config
        levels = 0
        # The coarse match sees the first level of each branch.
        self.branches = config.use_vjepa + config.use_rgb
        if config.use_vjepa:
            self.projection = ContentProjection(
                layers, channels, config.content_channels, config.adapter_window
            )
            levels += 1
        if config.use_rgb:
            self.stem = RgbStem(config.stem_channels)
            levels += len(STRIDES)
        self.coarse = CoarseMatch(self.branches)
        if config.iterations:
            self.refine = RefinementStep(config, levels, candidates=1 + config.use_flow)

    def describe(
        self, residuals: Tensor | None, slot: Tensor | None, frames: Tensor
    ) -> FrameFeatures:
        """Compute features of frames.

        Args:
            residuals: `(B, L, S, C, h, w)` content residuals; None without the V-JEPA branch.
            slot: `(T,)` which slot belongs to each frame; there may be slots of frames before them.
            frames: `(B, T, 3, H, W)` fine frames in 0..1.

        Returns:
            Of the T frames.

        Raises:
            UserError: the head reads residuals, and there are none.
        """
        size = (frames.shape[-1], frames.shape[-2])
        levels: list[Level] = []
        with bf16_products(frames.device, self.bf16) as reduced:
            if self.config.use_vjepa:
                if residuals is None:
                    raise UserError("a head with the V-JEPA branch needs residuals; give them")
                dtype = self.projection.fuse.weight.dtype
                content = F.normalize(self.projection(residuals.to(dtype))[:, slot], dim=2)
                levels.append(Level.of(content.float() if reduced else content, size))
            if self.config.use_rgb:
                levels += self._pyramid(frames, size, reduced)
        return FrameFeatures(levels, size)

    def _pyramid(self, frames: Tensor, size: tuple[int, int], reduced: bool) -> Iterator[Level]:
        """Yield the levels of the RGB stem, from fine to coarse.

        Args:
            frames: `(B, T, 3, H, W)` fine frames in 0..1.
            size: `(W, H)` of them.
            reduced: whether the stem's products are bfloat16. The coarse match of features is
                exact: near a peak, rounded products tie.
        """
        batch, length = frames.shape[:2]
        # On a CPU a few frames at a time stay in its caches: a quarter faster.
        at_once = max(1, 4 // batch) if frames.is_cpu else length
        parts: list[list[Level]] = []
        for some in frames.split(at_once, dim=1):
            maps = [x.unflatten(0, some.shape[:2]) for x in self.stem(some.flatten(0, 1))]
            parts.append([Level.of(x.float() if reduced else x, size) for x in maps])
        levels = [list(level) for level in zip(*parts, strict=True)]
        parts.clear()
        while levels:  # parts of a level go once they are joined
            yield Level.join(levels.pop(0))

    def take_queries(self, features: FrameFeatures, xy: Tensor, frame: Tensor) -> QueryDescriptors:
        """Read descriptors of queries at `xy (B, N, 2)` in frames `(B, N)` of `features`."""
        radius = self.config.query_radius
        patches = [sample_query_patches(level, xy, frame, radius) for level in features.levels]
        return QueryDescriptors(patches, xy)

    def follow(
        self,
        features: FrameFeatures,
        queries: QueryDescriptors,
        time_to_query: Tensor,
        flow: FlowProposals | None = None,
        known: tuple[Tensor, Tensor, Tensor] | None = None,
        iterations: int | None = None,
        past: Past | None = None,
    ) -> HeadOutput:
        """Find queries in frames.

        Args:
            features: of T frames.
            queries: of N points.
            time_to_query: `(B, N, K + T)` frames since each query's own; there the point stays put.
            flow: where it is at hand, of K + T frames, refinement starts from it instead of the
                coarse match.
            known: where earlier results exist: mask `(B, N, T)`, positions and logits
                `(B, N, T, 2)`; refinement starts from them.
            iterations: refinement steps; the config's by default.
            past: K frames before these, which refinement sees, but leaves as they are; K is 0
                without.

        Returns:
            Tracks in the T frames after the coarse match and after each step.
        """
        steps = self.config.iterations
        if steps and iterations is not None:
            steps = iterations
        match, visibility_logits, logits = self._match(features, queries)
        matches = None
        if steps:
            seen = self.correlate(features, queries, match.detach())
            matches = Matches(match.detach(), visibility_logits.detach(), seen)
        new = slice(past.num_frames if past else 0, None)
        here = time_to_query[:, :, new] == 0
        start = queries.xy[:, :, None].float().expand_as(match)
        better = [(start, here)]
        if known is not None:
            mask, known_xy, known_logits = known
            better.insert(0, (known_xy, mask))
            visibility_logits = torch.where(mask[..., None], known_logits, visibility_logits)
        sure = confidence_of(visibility_logits) >= self.config.start_certainty
        all_xy, all_logits = [overrule(match, sure, better)[0]], [visibility_logits]
        if self.config.use_flow and flow is not None:
            better.insert(0, (flow.xy[:, :, new], flow.certainty[:, :, new] > 0))
        xy, sure = overrule(match, sure, better)
        if self.config.start_certainty:  # or all frames are sure
            xy = bridge(xy, sure, past.xy[:, :, -1:] if past else None)
        for _ in range(steps):
            assert matches is not None  # there are steps
            xy, visibility_logits = self._refine(
                features, queries, xy, visibility_logits, matches, past, flow, time_to_query
            )
            xy = torch.where(here[..., None], start, xy)
            all_xy.append(xy)
            all_logits.append(visibility_logits)
        return HeadOutput(all_xy, all_logits, logits, matches)

    def correlate(
        self, features: FrameFeatures, queries: QueryDescriptors, placed: Tensor
    ) -> Tensor:
        """Correlate queries with the surroundings of `placed (B, N, T, 2)`: `(B, N, T, D)`."""
        with bf16_products(placed.device, self.bf16) as reduced:
            seen = self.refine.correlate(features.levels, queries.patches, placed)
        return seen.float() if reduced else seen

    def past_of(
        self,
        features: FrameFeatures,
        queries: QueryDescriptors,
        xy: Tensor,
        visibility_logits: Tensor,
    ) -> Past:
        """Make a past of points that are known to be at `xy (B, N, K, 2)` in K frames."""
        match, logits, _ = self._match(features, queries)
        matches = Matches(match, logits, self.correlate(features, queries, match))
        return Past(matches, xy, visibility_logits, self.correlate(features, queries, xy))

    def _refine(
        self,
        features: FrameFeatures,
        queries: QueryDescriptors,
        xy: Tensor,
        visibility_logits: Tensor,
        matches: Matches,
        past: Past | None,
        flow: FlowProposals | None,
        time_to_query: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Make one step of refinement; only the frames after the past move."""
        xy, visibility_logits = xy.detach(), visibility_logits.detach()
        seen = self.correlate(features, queries, xy)
        if past is not None:
            matches = Matches.join([past.matches, matches])
            seen = torch.cat([past.seen, seen], 2)
            xy = torch.cat([past.xy, xy], 2)
            visibility_logits = torch.cat([past.visibility_logits, visibility_logits], 2)
        proposed = self._propose(matches, flow)
        moved, logits = self.refine(
            seen, xy, visibility_logits, matches.seen, proposed, time_to_query, features.size
        )
        new = slice(past.num_frames if past else 0, None)
        return moved[:, :, new], logits[:, :, new]

    def _match(
        self, features: FrameFeatures, queries: QueryDescriptors
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Match the queries themselves, the middle of their patches, in whole frames."""
        middle = queries.patches[0].shape[2] // 2
        vectors = [patch[:, :, middle] for patch in queries.patches[: self.branches]]
        maps = features.levels[: self.branches]
        xy, visibility_logits, logits = self.coarse(vectors, maps, features.size)
        return xy.float(), visibility_logits.float(), logits

    def _propose(self, matches: Matches, flow: FlowProposals | None) -> Candidates:
        """Collect the places that refinement may go over to."""
        found = [(matches.xy, confidence_of(matches.visibility_logits))]
        if self.config.use_flow:
            flow = flow or FlowProposals(matches.xy, torch.zeros_like(matches.xy[..., 0]))
            found.append((flow.xy, flow.certainty))
        return Candidates(*(torch.stack(x, dim=3) for x in zip(*found, strict=True)))
