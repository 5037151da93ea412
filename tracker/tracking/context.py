"""What is kept of the frames beside the next block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tracker.head.tracking_head import FrameFeatures, confidence_of


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

    @staticmethod
    def join_points(parts: list[FollowedFrames]) -> FollowedFrames:
        """Concatenate along points."""
        return FollowedFrames(
            torch.cat([part.xy for part in parts]),
            torch.cat([part.visibility_logits for part in parts]),
        )

    def select_points(self, index: Tensor) -> FollowedFrames:
        """Return a copy of some of the points."""
        return FollowedFrames(self.xy[index], self.visibility_logits[index])


class NearFrames:
    """Features of the frames nearest to the next block, as the parts they came in.

    Args:
        length: frames to keep.
        backward: True where each part lies before the last one.
    """

    def __init__(self, length: int, backward: bool) -> None:
        self.length, self.backward = length, backward
        self.parts: list[FrameFeatures] = []

    @property
    def num_frames(self) -> int:
        """Frames that are kept."""
        return sum(part.num_frames for part in self.parts)

    def join(self, block: FrameFeatures) -> FrameFeatures:
        """Return the features of these frames and the next block's together."""
        parts = [block, *self.parts] if self.backward else [*self.parts, block]
        return parts[0] if len(parts) == 1 else FrameFeatures.join(parts)

    def alone(self) -> FrameFeatures:
        """Return the features of these frames together."""
        if len(self.parts) > 1:
            self.parts = [FrameFeatures.join(self.parts)]
        return self.parts[0]

    def join_gray(self, block: FrameFeatures) -> list[np.ndarray]:
        """Return the gray pictures of these frames and the next block's together."""
        parts = [block, *self.parts] if self.backward else [*self.parts, block]
        return [image for part in parts if part.gray is not None for image in part.gray]

    def add(self, block: FrameFeatures) -> None:
        """Take a block, and let go of the frames that are now too far away."""
        parts = [block, *self.parts] if self.backward else [*self.parts, block][::-1]
        kept: list[FrameFeatures] = []
        room = self.length
        for part in parts:
            count = min(part.num_frames, room)
            if count == part.num_frames:
                kept.append(part)
            elif count:
                near = slice(0, count) if self.backward else slice(part.num_frames - count, None)
                kept.append(part.select_frames(near).copy())
            room -= count
        self.parts = kept if self.backward else kept[::-1]
