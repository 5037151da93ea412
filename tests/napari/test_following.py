"""Points are followed anew where something else is known of them, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_models import tiny_tracker, tiny_video

from tracker.errors import UserError
from tracker.napari.following import Following
from tracker.points.queries import Queries
from tracker.registry import make_tracker

NAMES = ["a", "b"]
PLACES = [(0, 30.5, 20.5), (10, 50.5, 40.5)]


def quiet(done: int, total: int) -> None:
    pass


def test_unchanged_points_are_not_followed_again() -> None:
    tracker, video = tiny_tracker(), tiny_video(20)
    following = Following(tracker, video)
    first = following.track(Queries(PLACES, NAMES), quiet)
    assert first == tracker.track(video, Queries(PLACES, NAMES))
    asked: list[tuple[int, int]] = []
    assert following.track(Queries(PLACES, NAMES), lambda *steps: asked.append(steps)) == first
    assert not asked
    rows = [*PLACES, (15, 40.5, 30.5), (10, 70.5, 10.5)]
    more = following.track(Queries(rows, ["a", "b", "b", "c"]), quiet)
    assert more.names == ("a", "b", "c")
    np.testing.assert_array_equal(more.xy[0], first.xy[0])
    np.testing.assert_array_equal(more.xy[1, :11], first.xy[1, :11])
    np.testing.assert_allclose(more.xy[1, [10, 15]], [rows[1][1:], rows[2][1:]], atol=1e-4)
    gone = following.track(Queries(rows[3:], ["c"]), quiet)
    assert gone.names == ("c",) and gone == more["c"]


def test_other_trackers_take_anchors_too() -> None:
    following = Following(make_tracker("static"), tiny_video(8))
    rows = [(0, 1.5, 2.5), (6, 5.5, 6.5), (3, 0, 0), (2, 9, 9)]
    tracks = following.track(Queries(rows, ["a", "a", "a", "b"], [0, 0, 1, 0]), quiet)
    assert tracks.names == ("a", "b") and not tracks.visible[0, 3] and tracks.visible[1].all()
    np.testing.assert_allclose(tracks.xy[0, [0, 6]], [(1.5, 2.5), (5.5, 6.5)])


def test_a_run_that_is_ended_leaves_the_tracks_before() -> None:
    class EndError(Exception):
        pass

    def end(done: int, total: int) -> None:
        raise EndError

    following = Following(make_tracker("lk"), tiny_video(8))
    first = following.track(Queries(PLACES[:1], ["a"]), quiet)
    with pytest.raises(EndError):
        following.track(Queries([PLACES[0], (2, 9, 9)], NAMES), end)
    assert following.track(Queries(PLACES[:1], ["a"]), quiet) == first
    with pytest.raises(UserError, match=r"frames 0\.\.7"):
        following.track(Queries(PLACES, NAMES), quiet)
