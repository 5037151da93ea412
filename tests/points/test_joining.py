"""Tracks from several places of a point become one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from known_motion import FRAMES, SIZE, DriftingTracker, anchored_points, whole

from tracker.points.anchors import AnchoredPoint
from tracker.points.joining import Leg, join_legs, join_tracks, meeting_frame
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks


def leg(x: list[float], confidence: list[float] | float = 0.9) -> Leg:
    """A track along x, visible where its confidence is above a half."""
    certain = np.broadcast_to(np.float32(confidence), len(x))
    return Leg(np.stack([np.float32(x), np.zeros(len(x), np.float32)], 1), certain > 0.5, certain)


NEVER = np.zeros(6, bool)


def test_tracks_meet_where_they_agree() -> None:
    ahead, back = leg([0, 1, 2, 9, 9, 9]), leg([7, 7, 2.5, 3, 4, 5])
    assert meeting_frame(ahead, back, NEVER, 1, is_open=False) == 2
    joined = join_legs(ahead, back, NEVER, 1)
    np.testing.assert_allclose(joined.xy[:, 0], [0, 1.125, 2.25, 2.8333333, 3.9166667, 5])


def test_the_surer_track_is_followed() -> None:
    ahead, back = leg([0] * 6, [1, 1, 1, 0.1, 0.1, 0.1]), leg([30] * 6, [0.1, 0.1, 0.1, 1, 1, 1])
    joined = join_legs(ahead, back, NEVER, 1)
    assert joined.visible.all() and (joined.confidence == 1).all()
    assert meeting_frame(ahead, back, NEVER, 1, is_open=False) == 3


def test_who_sees_a_hidden_point_is_not_believed() -> None:
    hidden = np.array([0, 0, 0, 1, 0, 0], bool)
    sure, doubtful = [0.9] * 6, [0.9, 0.8, 0.8, 0.1, 0.8, 0.9]
    ahead, back = leg([0] * 6, sure), leg([1] * 6, doubtful)
    assert meeting_frame(ahead, back, NEVER, 1, is_open=False) > 3
    assert meeting_frame(ahead, back, hidden, 1, is_open=False) <= 3


def test_a_track_that_is_sure_to_the_end_is_kept_where_no_place_waits() -> None:
    ahead, back = leg([0, 1, 2, 3, 4, 5]), leg([0, 1, 2, 3, 4, 5], 0.5)
    assert join_legs(ahead, back, NEVER, 1, is_open=True) is ahead
    lost = leg([0, 1, 2, 3, 3, 3], [0.9, 0.9, 0.9, 0.1, 0.1, 0.1])
    assert join_legs(lost, back, NEVER, 1, is_open=True).xy[-1, 0] == 5


PLACE_AND_CONFIDENCE = st.tuples(st.floats(-99, 99, width=32), st.floats(0, 1, width=32))


@st.composite
def legs(draw: st.DrawFn) -> tuple[Leg, Leg, np.ndarray]:
    """Two tracks of the same frames, and in which of them the point is hidden."""
    length = draw(st.integers(2, 20))
    rows = [draw(st.lists(PLACE_AND_CONFIDENCE, min_size=length, max_size=length)) for _ in "ab"]
    one, other = (leg([x for x, _ in row], [c for _, c in row]) for row in rows)
    return one, other, np.array(draw(st.lists(st.booleans(), min_size=length, max_size=length)))


@settings(deadline=None, max_examples=100)
@given(both=legs(), is_open=st.booleans())
def test_no_step_is_longer_by_more_than_the_disagreement(
    both: tuple[Leg, Leg, np.ndarray], is_open: bool
) -> None:
    ahead, back, hidden = both
    length = len(hidden)
    joined = join_legs(ahead, back, hidden, 1, is_open)
    assert joined.xy[0].tolist() == ahead.xy[0].tolist()
    if not is_open:
        np.testing.assert_allclose(joined.xy[-1], back.xy[-1], atol=1e-4)
    meeting = meeting_frame(ahead, back, hidden, 1, is_open)
    apart = abs(back.xy - ahead.xy)[meeting, 0] if meeting < length else 0
    steps = np.diff(joined.xy[:, 0])
    for t, step in enumerate(steps):
        used = ahead if t < meeting else back
        assert abs(step - np.diff(used.xy[:, 0])[t]) <= apart + 1e-3
    # Who is followed says whether the point is seen.
    for t in range(1, length - 1):
        assert joined.confidence[t] == (ahead if t < meeting else back).confidence[t]
        assert joined.visible[t] == (ahead if t < meeting else back).visible[t]


@settings(deadline=None, max_examples=60)
@given(point=anchored_points())
def test_a_track_goes_through_every_place_and_is_hidden_where_it_is_said_to_be(
    point: AnchoredPoint,
) -> None:
    places = Queries(point.places)
    reach = np.array(point.reaches(range(FRAMES)))
    track = join_tracks(DriftingTracker().follow(places, reach), [point])
    assert np.isfinite(track.xy).all() and track.names == ("eye",)
    times = places.t
    if len(times) > 1:
        np.testing.assert_array_equal(track.xy[0, times], places.xy)
    assert track.visible[0, times].all()
    np.testing.assert_array_equal(track.queries, places.txy[:1])
    hidden = list(point.hidden)
    assert not track.visible[0, hidden].any() and (track.confidence[0, hidden] == 0).all()
    # Beyond reach nothing is asked of a track.
    again = join_tracks(DriftingTracker().follow(places, whole(places)), [point])
    assert again == track


def test_points_with_a_single_place_are_left_alone() -> None:
    queries = Queries([[0, 1, 2], [3, 4, 5]], ["eye", ""])
    found = DriftingTracker().follow(queries, whole(queries))
    assert queries.join(found) is found
    together = queries + Queries([[5, 9, 9]], ["tail"]) + Queries([[7, 9, 9]], ["tail"])
    placed = together.placed
    tracks = together.join(DriftingTracker().follow(placed, whole(placed)))
    assert isinstance(tracks, Tracks) and tracks.names == ("eye", "", "tail")
    np.testing.assert_array_equal(tracks.xy[:2], found.xy)
    assert tracks.size == SIZE and tracks.queries.tolist() == [[0, 1, 2], [3, 4, 5], [5, 9, 9]]
