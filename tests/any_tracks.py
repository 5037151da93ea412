"""Tracks of every kind, and those that formats are tried with."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tracker.points.tracks import Tracks

NAME = st.text(max_size=6).filter(str.isprintable)


@st.composite
def any_tracks(draw: st.DrawFn, least: int = 0) -> Tracks:
    """Tracks of a part of some video, with odd names and positions that are not known.

    Args:
        least: points and frames at least.
    """
    count, length = draw(st.integers(least, 4)), draw(st.integers(least, 6))
    places = st.floats(-300, 5000, width=32) | st.just(np.nan)
    return Tracks(
        draw(hnp.arrays(np.float32, (count, length, 2), elements=places)),
        draw(hnp.arrays(bool, (count, length))),
        draw(hnp.arrays(np.float32, (count, 3), elements=st.integers(0, 50))),
        draw(st.tuples(st.integers(2, 4000), st.integers(2, 4000))),
        draw(st.floats(0.5, 240)),
        draw(hnp.arrays(np.float32, (count, length), elements=st.floats(0, 1, width=32))),
        names=draw(st.none() | st.lists(NAME, min_size=count, max_size=count)),
        start=draw(st.integers(0, 1000)),
        stride=draw(st.integers(1, 3)),
    )


def three_points() -> Tracks:
    """Frames 100, 102, 104, 106 of a video of 24 fps; the second point is hidden in two of them."""
    xy = np.array(
        [
            [[0.5, 0.5], [1.5, 0.5], [2.5, 1.5], [63.5, 47.5]],
            [[10.25, 20.75], [11, 21], [12, 22], [-3, 23]],
            [[30, 40], [31, 40], [32, 40.125], [33, 40]],
        ]
    )
    visible = np.ones((3, 4), bool)
    visible[1, [1, 3]] = False
    confidence = np.where(visible, 0.9, 0.2)
    queries = [[0, 0.5, 0.5], [0, 10.25, 20.75], [2, 32, 40.125]]
    names = ["left eye", "", "tail"]
    return Tracks(xy, visible, queries, (64, 48), 12.0, confidence, names, start=100, stride=2)


def seen_places(tracks: Tracks) -> dict[tuple[int, int], tuple[float, float]]:
    """Where each point is seen: `{(point, frame of the whole video): (x, y)}`."""
    return {
        (point, tracks.start + tracks.stride * t): tuple(tracks.xy[point, t].tolist())
        for point, t in zip(*np.nonzero(tracks.visible), strict=True)
        if np.isfinite(tracks.xy[point, t]).all()
    }


def assert_same_places(found: dict, expected: dict) -> None:
    """The same points in the same frames, to a hundredth of a pixel."""
    assert found.keys() == expected.keys()
    for key, place in expected.items():
        np.testing.assert_allclose(found[key], place, rtol=0, atol=0.01, err_msg=str(key))
