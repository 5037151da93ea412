"""Following by a formula, in place of a tracker: quick, and known to the bit."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tracker.points.anchors import AnchoredPoint
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress

FRAMES, SIZE = 12, (64, 48)
FRAME, COORDINATE = st.integers(0, FRAMES - 1), st.floats(0, 48, width=32)


class DriftingTracker:
    """Follows points that stand still, a pixel a frame away from where they are.

    The confidence falls with the frames since a point's place. What lies beyond `reach` is not a
    number, so that a test fails where it is used.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Queries, np.ndarray]] = []

    def follow(
        self, queries: Queries, reach: np.ndarray, progress: Progress | bool | None = None
    ) -> Tracks:
        self.asked.append((queries, reach))
        frames = np.arange(FRAMES)
        steps = frames - queries.t[:, None]
        xy = queries.xy[:, None] + np.stack([steps, steps % 3], axis=-1).astype(np.float32)
        xy[(frames < reach[:, :1]) | (frames > reach[:, 1:])] = np.nan
        confidence = np.float32(0.99) * np.float32(0.9) ** np.abs(steps)
        if callable(progress):
            progress(1, 1)
        return Tracks(xy, confidence > 0.5, queries.txy, SIZE, 24.0, confidence, queries.names)


def whole(queries: Queries) -> np.ndarray:
    """Reach for all frames."""
    return np.tile([0, FRAMES - 1], (len(queries), 1))


@st.composite
def anchored_points(draw: st.DrawFn, name: str = "eye") -> AnchoredPoint:
    """A point with some places and hidden frames."""
    frames = draw(st.lists(FRAME, min_size=1, max_size=6, unique=True))
    count = draw(st.integers(1, len(frames)))
    places = [(t, draw(COORDINATE), draw(COORDINATE)) for t in sorted(frames[:count])]
    return AnchoredPoint(name, tuple(places), tuple(sorted(frames[count:])))
