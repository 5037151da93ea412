"""What was found of points before: by the coarse match, and in frames that have been followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Matches:
    """What the coarse match found of N points in T frames, and what lies there.

    Attributes:
        xy: `(B, N, T, 2)` fine pixels.
        visibility_logits: `(B, N, T, 2)` logits of visibility and of being uncertain.
        seen: `(B, N, T, D)` the points' correlation with the surroundings.
    """

    xy: Tensor
    visibility_logits: Tensor
    seen: Tensor

    @staticmethod
    def join(parts: list[Matches]) -> Matches:
        """Concatenate along time."""
        return Matches(
            torch.cat([part.xy for part in parts], 2),
            torch.cat([part.visibility_logits for part in parts], 2),
            torch.cat([part.seen for part in parts], 2),
        )


@dataclass(frozen=True)
class Past:
    """N points in K frames that have been followed, and stand while those after are.

    Attributes:
        matches: of the coarse match.
        xy: `(B, N, K, 2)` fine pixels, where the points are.
        visibility_logits: `(B, N, K, 2)`.
        seen: `(B, N, K, D)` the points' correlation with the surroundings of `xy`.
    """

    matches: Matches
    xy: Tensor
    visibility_logits: Tensor
    seen: Tensor

    @property
    def num_frames(self) -> int:
        """K."""
        return self.xy.shape[2]

    @property
    def num_points(self) -> int:
        """N."""
        return self.xy.shape[1]

    @property
    def bytes_per_point(self) -> int:
        """Bytes that it takes for each point."""
        return sum(tensor.nbytes for tensor in self.tensors()) // max(1, self.num_points)

    def select_points(self, index: Tensor) -> Past:
        """Return some of the points."""
        return self.map(lambda tensor: tensor[:, index])

    def select_frames(self, index: slice) -> Past:
        """Return some of the frames."""
        return self.map(lambda tensor: tensor[:, :, index])

    @staticmethod
    def join(parts: list[Past]) -> Past:
        """Concatenate along time."""
        return Past(
            Matches.join([part.matches for part in parts]),
            torch.cat([part.xy for part in parts], 2),
            torch.cat([part.visibility_logits for part in parts], 2),
            torch.cat([part.seen for part in parts], 2),
        )

    def put(self, points: Tensor, frames: slice, found: Past) -> None:
        """Overwrite what is known of `points` in some of the frames."""
        for target, value in zip(self.tensors(), found.tensors(), strict=True):
            target[:, points, frames] = value

    def tensors(self) -> list[Tensor]:
        """Return all that it holds, points along the second dimension and frames the third."""
        found = self.matches
        placed = [self.xy, self.visibility_logits, self.seen]
        return [found.xy, found.visibility_logits, found.seen, *placed]

    def map(self, change: Callable[[Tensor], Tensor]) -> Past:
        """Return the same with each tensor changed."""
        return Past.of([change(tensor) for tensor in self.tensors()])

    @staticmethod
    def of(tensors: list[Tensor]) -> Past:
        """Make what `tensors` came from."""
        return Past(Matches(*tensors[:3]), *tensors[3:])
