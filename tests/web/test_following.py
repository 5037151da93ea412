"""Tracks go through what was said of their points."""

from __future__ import annotations

import numpy as np

from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.web.board import Point
from tracker.web.following import follow

FRAMES = 8


def straight(queries: Queries, progress: Progress) -> Tracks:
    """Follow each query by one pixel a frame to the right, both ways."""
    steps = np.arange(FRAMES) - queries.t[:, None]
    xy = queries.xy[:, None] + np.stack([steps, np.zeros_like(steps)], axis=-1)
    progress(1, 1)
    confidence = np.full(xy.shape[:2], 0.9)
    return Tracks(xy, confidence > 0.5, queries.txy, (64, 48), 24.0, confidence)


def test_a_later_place_moves_what_comes_after_it_alone() -> None:
    points = [
        Point(1, "corrected", "#ff0000", ((2, (10, 10)), (5, (30, 40)))),
        Point(2, "hidden", "#00ff00", ((0, None), (3, (20, 5)), (6, None))),
        Point(3, "plain", "#0000ff", ((7, (40, 7)),)),
    ]
    called = []
    tracks = follow(straight, points, lambda done, total: called.append((done, total)))
    assert tracks.names == ("corrected", "hidden", "plain") and called == [(1, 1)]
    np.testing.assert_array_equal(tracks.xy[0, :, 0], [8, 9, 10, 11, 12, 30, 31, 32])
    np.testing.assert_array_equal(tracks.xy[0, :, 1], [10, 10, 10, 10, 10, 40, 40, 40])
    np.testing.assert_array_equal(tracks.queries, [[2, 10, 10], [3, 20, 5], [7, 40, 7]])
    np.testing.assert_array_equal(tracks.confidence[1] == 0, [1, 0, 0, 0, 0, 0, 1, 0])
    np.testing.assert_array_equal(~tracks.visible[1], [1, 0, 0, 0, 0, 0, 1, 0])
    assert tracks.visible[[0, 2]].all()
    # A point that is said to be hidden stays so, however little certainty is asked for.
    assert not tracks.shown_from(0).visible[1, [0, 6]].any()
