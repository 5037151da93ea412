"""The steps of following points, as modules of plain tensors.

One step's outputs are the next one's inputs of the same name; optical flow comes from outside, and
the loop is the caller's, see `docs/guide/onnx.md`. All of them work on one video.

Shapes: T frames, N points, L levels of features, h w cells of a level, C its channels, P cells of a
query's patch, D what the head sees round a place. Positions are pixels of fine frames.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from tracker.features.backbone import FrozenBackbone
from tracker.features.template import content_residuals
from tracker.head.correlation import Level, sample_query_patches
from tracker.head.refine import Candidates
from tracker.head.stem import STRIDES
from tracker.head.tracking_head import confidence_of
from tracker.tracking.model import TrackingModel


def level_names(tracker: TrackingModel) -> list[str]:
    """Return what the head's levels of features are called, in its order."""
    config = tracker.config.head
    fine = [f"fine{stride}" for stride in STRIDES] if config.use_rgb else []
    return (["content"] if config.use_vjepa else []) + fine


def level_grids(tracker: TrackingModel) -> list[tuple[int, int]]:
    """Return `(h, w)` of the levels, in the head's order."""
    height, width = tracker.config.fine_size
    content = [] if tracker.backbone is None else [tracker.backbone.grid]
    fine = STRIDES if tracker.config.head.use_rgb else ()
    return content + [(height // stride, width // stride) for stride in fine]


class DescribeFrames(nn.Module):
    """Frames to levels: backbone, template and projection, and the RGB stem.

    Args:
        tracker: in eval mode, on the CPU.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, tracker: TrackingModel) -> None:
        super().__init__()
        self.backbone, self.fine_size = tracker.backbone, tracker.config.fine_size
        self.stem = tracker.head.stem if tracker.config.head.use_rgb else None
        if self.backbone is not None:
            self.encoder, self.projection = self.backbone.model.encoder, tracker.head.projection
            self.template = tracker.template is not None
            if tracker.template is not None:
                self.register_buffer("mean", tracker.template.mean)
                self.register_buffer("std", tracker.template.std)

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Describe frames.

        Args:
            frames: `(T, H, W, 3) uint8` of any size; T is a window of the backbone or more.

        Returns:
            For each level `(T, h, w, C)`, of unit length.
        """
        pictures = frames.permute(0, 3, 1, 2).float() / 255
        fine = shrink(pictures, self.fine_size)
        maps = []
        if self.backbone is not None:
            size = self.backbone.config.input_size
            small = fine if size == self.fine_size else shrink(pictures, size)
            maps.append(self._content(self.backbone, small))
        if self.stem is not None:
            maps += self.stem(fine)
        return tuple(x.permute(0, 2, 3, 1).contiguous() for x in maps)

    def _content(self, backbone: FrozenBackbone, pictures: Tensor) -> Tensor:
        """Project content residuals of `(T, 3, H, W)`: `(T, C, h, w)` of unit length."""
        length, window, slots = pictures.shape[0], backbone.config.window, backbone.slots
        frames_per_slot = window // slots
        windows = (length + window - 1) // window
        # The last window is taken from the end, so that all are full.
        start = (window * torch.arange(windows)).clamp(max=length - window)
        volume = backbone.encode_one_window(pictures[start[:, None] + torch.arange(window)])
        residuals = volume.features
        if self.template:
            residuals = content_residuals(volume, self.mean, self.std)
        # Slots of the last window whose frames the one before has as well are left out. All that is
        # divided here is positive: ONNX rounds towards 0.
        kept = (length + frames_per_slot - 1) // frames_per_slot
        left_out = windows * slots - kept
        number = torch.arange(kept)
        number = torch.where(number >= (windows - 1) * slots, number + left_out, number)
        by_slot = rearrange(residuals, "n l s c h w -> l (n s) c h w")[:, number]
        # The last window may start between two frames of a slot; then all of its frames do.
        frame, shift = torch.arange(length), kept * frames_per_slot - length
        frame = torch.where(frame >= (windows - 1) * window, frame + shift, frame)
        projected = self.projection(by_slot[None])[0, frame // frames_per_slot]
        return F.normalize(projected, dim=1)


class TakeQueries(nn.Module):
    """Points at their queries to what the head keeps of them.

    Args:
        tracker: in eval mode.
    """

    def __init__(self, tracker: TrackingModel) -> None:
        super().__init__()
        self.size, self.radius = fine_size(tracker), tracker.config.head.query_radius

    def forward(
        self, tables: list[Tensor], query_xy: Tensor, query_frame: Tensor
    ) -> tuple[Tensor, ...]:
        """Read patches.

        Args:
            tables: levels of T frames.
            query_xy: `(N, 2)`.
            query_frame: `(N,) int64`, counted among the T.

        Returns:
            For each level `(N, P, C)`.
        """
        xy, frame = query_xy[None], query_frame[None]
        return tuple(
            sample_query_patches(level, xy, frame, self.radius)[0]
            for level in levels_of(tables, self.size)
        )


class MatchQueries(nn.Module):
    """The coarse match: points in whole frames.

    Args:
        tracker: in eval mode.
    """

    def __init__(self, tracker: TrackingModel) -> None:
        super().__init__()
        self.size, self.branches = fine_size(tracker), tracker.head.branches
        self.coarse = tracker.head.coarse
        self.refine = tracker.head.refine if tracker.config.head.iterations else None

    def forward(self, tables: list[Tensor], patches: list[Tensor]) -> tuple[Tensor, ...]:
        """Match.

        Args:
            tables: levels of T frames.
            patches: of N points, for each level.

        Returns:
            Positions `(N, T, 2)`; logits of being visible and of being uncertain `(N, T, 2)`; and,
            where the head refines, what it sees there `(N, T, D)`.
        """
        levels, middle = levels_of(tables, self.size), patches[0].shape[1] // 2
        vectors = [patch[None, :, middle] for patch in patches[: self.branches]]
        xy, logits = self.coarse(vectors, levels[: self.branches], self.size)[:2]
        if self.refine is None:
            return xy[0], logits[0]
        seen = self.refine.correlate(levels, [patch[None] for patch in patches], xy)
        return xy[0], logits[0], seen[0]


class FollowOnce(nn.Module):
    """One step of refinement.

    Args:
        tracker: in eval mode, whose head refines.
    """

    def __init__(self, tracker: TrackingModel) -> None:
        super().__init__()
        self.size, self.refine = fine_size(tracker), tracker.head.refine

    def forward(
        self,
        tables: list[Tensor],
        patches: list[Tensor],
        match: list[Tensor],
        flow: list[Tensor],
        xy: Tensor,
        logits: Tensor,
        time_to_query: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Make the step.

        Args:
            tables: levels of T frames.
            patches: of N points, for each level.
            match: what `MatchQueries` gave.
            flow: where optical flow leads `(N, T, 2)`, and how certainly `(N, T)`, 0 where it is
                lost; empty for a head that reads none.
            xy: `(N, T, 2)` where the points are so far.
            logits: `(N, T, 2)` of being visible and of being uncertain so far.
            time_to_query: `(N, T) int64`, frames since each point's query.

        Returns:
            New positions and logits. A point stays where it was asked for in its query's own
            frame: that is the caller's to see to.
        """
        match_xy, match_logits, match_seen = match
        levels = levels_of(tables, self.size)
        seen = self.refine.correlate(levels, [patch[None] for patch in patches], xy[None])
        places = [match_xy, *flow[:1]]
        certainties = [confidence_of(match_logits), *flow[1:]]
        moved, verdict = self.refine(
            seen,
            xy[None],
            logits[None],
            match_seen[None],
            Candidates(torch.stack(places, 2)[None], torch.stack(certainties, 2)[None]),
            time_to_query[None],
            self.size,
        )
        return moved[0], verdict[0]


def fine_size(tracker: TrackingModel) -> tuple[int, int]:
    """Return `(W, H)` of a tracker's fine frames."""
    height, width = tracker.config.fine_size
    return width, height


def levels_of(tables: list[Tensor], size: tuple[int, int]) -> list[Level]:
    """Return tables `(T, h, w, C)` of fine frames of `size` `(W, H)` as the head takes them."""
    return [
        Level(table[None], torch.tensor([size[0] / table.shape[2], size[1] / table.shape[1]]))
        for table in tables
    ]


def shrink(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize `(T, 3, H, W)` as the tracker does, without asking whether there is a need to."""
    return F.interpolate(pictures, size, mode="bilinear", antialias=True)
