"""What the head saw of points that stand in the context, within a bound."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tracker.head.past import Past

PAST_BYTES = 64 * 2**20
"""Bytes of pasts that are kept: those of a thousand points in the shipped tracker's context."""


class KeptPasts:
    """Pasts of as many of N points as there is room for; those of the others are looked up again.

    Args:
        points: N.
        device: of the tensors.
        limit: bytes that all pasts may take together.

    Attributes:
        past: of the first M of the points, in the context; None where none is kept.
        has: `(N,) bool`, whose past is kept.
    """

    def __init__(self, points: int, device: torch.device, limit: int = PAST_BYTES) -> None:
        self.limit = limit
        self.past: Past | None = None
        self.has = torch.zeros(points, dtype=torch.bool, device=device)
        self._next: Past | None = None
        self._next_has = torch.zeros_like(self.has)

    def of(self, rows: Tensor, make: Callable[[Tensor], Past]) -> Past:
        """Return the past of some points.

        Args:
            rows: `(M,)` their numbers.
            make: makes the past of points whose past is not kept, of their numbers.
        """
        has = self.has[rows]
        if self.past is None or not has.any():
            return make(rows)
        if has.all():
            return self.past.select_points(rows)
        found = make(rows[~has])
        past = found.map(lambda x: x.new_zeros((x.shape[0], len(rows), *x.shape[2:])))
        past.put(~has, slice(None), found)
        past.put(has, slice(None), self.past.select_points(rows[has]))
        return past

    def keep(self, rows: Tensor, past: Past, count: int) -> None:
        """Keep the last frames of points' pasts for the next block, as far as there is room.

        Args:
            rows: `(M,)` numbers of the points.
            past: of these points.
            count: frames that will be the context of the next block.
        """
        last = past.select_frames(slice(-count, None))
        if self._next is None:
            room = min(len(self.has), self.limit // last.bytes_per_point)
            self._next = last.map(lambda x: x.new_zeros((x.shape[0], room, *x.shape[2:])))
        fits = rows < self._next.num_points
        self._next.put(rows[fits], slice(None), last.select_points(fits))
        self._next_has[rows[fits]] = True

    def turn(self) -> None:
        """Let what was kept since the last turn take the place of what was kept before."""
        self.past, self.has = self._next, self._next_has
        self._next, self._next_has = None, torch.zeros_like(self.has)

    def select(self, points: Tensor) -> None:
        """Go on with some of the points, indices `(M,)`, alone."""
        self.has = self.has[points]
        self._next_has = torch.zeros_like(self.has)
        if self.past is not None:
            # Points without a past, for whom there is no row, get another's, which is not read.
            rows = points[: self.past.num_points].clamp(max=self.past.num_points - 1)
            self.has[len(rows) :] = False
            self.past = self.past.select_points(rows)

    def add(self, count: int) -> None:
        """Make place for so many more points, whose pasts are not known."""
        self.has = torch.cat([self.has, self.has.new_zeros(count)])
        self._next_has = torch.zeros_like(self.has)

    def restore(self, past: Past | None, has: Tensor) -> None:
        """Take what another kept."""
        self.past, self.has = past, has
        self._next, self._next_has = None, torch.zeros_like(has)
