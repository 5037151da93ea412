"""Sightings of one object in several frames become one, by points that go from mask to mask."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tiny_prompting import square

from tracker.baselines import LucasKanadeTracker
from tracker.points.tracks import Tracks
from tracker.prompting.sightings import Sighting, agreement, group, join_sightings
from tracker.video.loading import load_video
from tracker.video.video import Video

SIZE = (96, 80)


@pytest.fixture(scope="module")
def video(make_frames: Callable) -> Video:
    """Its content moves one pixel to the right per frame."""
    return load_video(make_frames(16, SIZE))


def seen(t: int, left: int, top: int, side: int = 20, prompt: str = "a cat", score: float = 0.5):
    mask = square(SIZE, left + t, top, side)
    box = np.array([left + t, top, left + t + side, top + side], np.float32)
    return Sighting(t, prompt, score, box, mask)


def joined(video: Video, sightings: list[Sighting]) -> list[list[int]]:
    groups = join_sightings(video, sightings, LucasKanadeTracker())
    return [[next(n for n, s in enumerate(sightings) if s is one) for one in g] for g in groups]


def test_objects_that_move_are_one_each(video: Video) -> None:
    left = [seen(t, 8, 10) for t in (2, 7, 13)]
    right = [seen(t, 50, 45, score=0.9) for t in (13, 2)]
    late = [seen(7, 40, 10)]
    # In the order of first frames, and within a frame of scores.
    assert joined(video, [*left, *right, *late]) == [[4, 3], [0, 1, 2], [5]]


def test_a_part_belongs_to_the_whole(video: Video) -> None:
    whole, part = seen(3, 10, 10, side=40), seen(9, 14, 14, side=12)
    assert joined(video, [whole, part]) == [[0, 1]]
    assert joined(video, [seen(3, 14, 14, side=12), seen(9, 10, 10, side=40)]) == [[0, 1]]


def test_other_prompts_and_places_are_other_objects(video: Video) -> None:
    assert joined(video, [seen(3, 10, 10), seen(9, 10, 10, prompt="a dog")]) == [[0], [1]]
    assert joined(video, [seen(3, 10, 10), seen(9, 45, 40)]) == [[0], [1]]


def test_two_of_one_frame_are_never_one(video: Video) -> None:
    """Both lie in the one that was seen later; the surer one keeps it."""
    small, large, later = seen(3, 10, 10, 8), seen(3, 22, 10, 20), seen(9, 12, 10, 34)
    groups = joined(video, [small, large, later])
    assert sorted(map(len, groups)) == [1, 2] and [0, 1] not in groups


def test_one_frame_needs_no_tracker(video: Video) -> None:
    class NoTracker:
        def track(self, *_: object) -> Tracks:
            raise AssertionError

    groups = join_sightings(video, [seen(3, 10, 10, score=0.1), seen(3, 50, 40)], NoTracker())
    assert [[s.score for s in g] for g in groups] == [[0.5], [0.1]]


def test_points_that_are_hidden_or_outside_tell_nothing() -> None:
    one, other = seen(0, 10, 10), seen(4, 6, 10)
    xy = np.full((8, 5, 2), (20.5, 15.5), np.float32)
    visible = np.ones((8, 5), bool)
    visible[1:4, 4] = False  # of the first sighting's points one is left
    xy[4:6] = (96, 80)  # the corner belongs to the last pixel, which is in no mask
    xy[6] = np.nan
    tracks = Tracks(xy, visible, np.zeros((8, 3)), SIZE)
    owners = np.repeat([0, 1], 4)
    shares = agreement([one, other], owners, tracks, start=0)
    assert shares[0].tolist() == [1, 1]
    assert shares[1, 0] == pytest.approx(1 / 3)
    visible[0, 4] = False
    assert agreement([one, other], owners, tracks, start=0)[0, 1] == 0


def test_groups_grow_from_the_surest_pair() -> None:
    times = (0, 5, 5)
    sightings = [seen(t, 0, 0) for t in times]
    shares = np.array([[1, 0.6, 0.9], [0.6, 1, 1], [0.9, 1, 1]])
    assert sorted(map(sorted, group(sightings, shares))) == [[0, 2], [1]]
