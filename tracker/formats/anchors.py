"""Known places of points, as other programs hold them: what is read from their files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tracker.errors import log


@dataclass(frozen=True)
class Anchors:
    """Places that somebody marked; rows of one name are one point in several frames.

    Attributes:
        txy: `(M, 3) float32`, columns frame of the whole video from 0, and raster pixels x, y; a
            hidden point may lie at NaN.
        names: of the `M` rows; empty where a row is a point by itself.
        hidden: `(M,) bool`, the point is there, or out of the frame, but not to be seen.
    """

    txy: np.ndarray
    names: tuple[str, ...]
    hidden: np.ndarray

    @classmethod
    def of(cls, rows: Iterable[tuple[float, float, float, str, bool]]) -> Anchors:
        """Return anchors from rows of frame, x, y, name, and whether it is hidden."""
        rows = sorted(rows, key=lambda row: row[0])
        return cls(
            np.array([row[:3] for row in rows], np.float32).reshape(-1, 3),
            tuple(row[3] for row in rows),
            np.array([row[4] for row in rows], bool),
        )

    def within(self, frames: range) -> Anchors:
        """Return those in some frames of the video, numbered within them; says what is left out.

        Args:
            frames: which frames of the whole video are read, such as `range(100, 400, 2)`.
        """
        kept = [row for row, t in enumerate(self.txy[:, 0]) if int(t) in frames]
        if len(kept) < len(self.txy):
            log.warning(
                "%d of %d marked places lie in other frames than %d..%d, and are left out",
                *(len(self.txy) - len(kept), len(self.txy), frames[0], frames[-1]),
            )
        txy = self.txy[kept].copy()
        txy[:, 0] = [frames.index(int(t)) for t in txy[:, 0]]
        return Anchors(txy, tuple(self.names[row] for row in kept), self.hidden[kept])

    def of_seen_points(self) -> Anchors:
        """Return those of points that are to be seen somewhere, which is what can be followed."""
        seen = {name for name, hidden in zip(self.names, self.hidden, strict=True) if not hidden}
        kept = [
            row
            for row, name in enumerate(self.names)
            if not self.hidden[row] or (name and name in seen)
        ]
        return Anchors(self.txy[kept], tuple(self.names[row] for row in kept), self.hidden[kept])
