"""Corrections follow anew what has changed, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_motion import COORDINATE, FRAME, FRAMES, SIZE, DriftingTracker, anchored_points, whole

from tracker.errors import UserError
from tracker.points.anchors import AnchoredPoint, changed_frames
from tracker.points.joining import join_tracks
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.tracking.corrections import Change, Corrections, follow_changes, reaches_of

PLACE = st.tuples(FRAME, COORDINATE, COORDINATE)
STEPS = st.lists(PLACE | FRAME | st.just("undo"), min_size=1, max_size=6)


def begin(queries: Queries) -> tuple[Corrections, Tracks, DriftingTracker]:
    """Return what puts right the tracks of queries, these tracks, and who follows."""
    tracker = DriftingTracker()
    found = tracker.follow(queries.placed, reaches_of(queries.points, FRAMES))
    tracks = queries.join(found)
    tracker.asked.clear()
    return Corrections(tracker.follow, queries.points, tracks), tracks, tracker


@settings(deadline=None, max_examples=80)
@given(first=anchored_points(), steps=STEPS)
def test_frames_that_are_not_between_changed_places_stay_to_the_bit(
    first: AnchoredPoint, steps: list
) -> None:
    places = Queries([*first.places, (0, 1, 1)], [*["eye"] * len(first.places), ""])
    corrections, tracks, _ = begin(places)
    known = places.points[0]
    history = [(known, tracks)]
    for step in steps:
        if step == "undo":
            if len(history) > 1:
                history.pop()
                assert corrections.undo() == history[-1][1]
                known, tracks = history[-1]
            continue
        hides = isinstance(step, int)
        if hides and {t for t, _, _ in known.places} == {step}:
            with pytest.raises(UserError, match="hidden wherever"):
                corrections.hide("eye", step, None)
            continue
        changed = known.hidden_in([step]) if hides else known.placed(*step)
        after = (
            corrections.hide("eye", step, None)
            if hides
            else corrections.correct("eye", *step, None)
        )
        assert np.isfinite(after.xy).all()  # nothing beyond reach was used
        rest = np.ones(FRAMES, bool)
        rest[list(changed_frames(known, changed, FRAMES))] = False
        # A place was perhaps the only one so far: its own frame is then put right by rounding.
        np.testing.assert_allclose(after.xy[0, rest], tracks.xy[0, rest], atol=1e-5)
        rest[[t for t, _, _ in changed.places]] = False
        for name in ("xy", "visible", "confidence"):
            before = getattr(tracks, name)
            np.testing.assert_array_equal(getattr(after, name)[0, rest], before[0, rest])
            np.testing.assert_array_equal(getattr(after, name)[1], before[1])
        for t, x, y in changed.places:
            assert after.xy[0, t].tolist() == [x, y] and after.visible[0, t]
        assert not after.visible[0, list(changed.hidden)].any()
        assert after.queries[0].tolist() == list(changed.places[0])
        if changed != known:
            history.append((changed, after))
        known, tracks = changed, after
    while len(history) > 1:
        history.pop()
        assert corrections.undo() == history[-1][1]
    with pytest.raises(UserError, match="no correction to undo"):
        corrections.undo()


@settings(deadline=None, max_examples=40)
@given(old=anchored_points(), new=anchored_points(), other=anchored_points("tail"))
def test_several_points_may_change_at_once(
    old: AnchoredPoint, new: AnchoredPoint, other: AnchoredPoint
) -> None:
    if old == new:
        return
    tracker = DriftingTracker()
    (before,) = follow_changes(tracker.follow, [Change.new(old, FRAMES)], SIZE)
    changes = [Change(new, old, before), Change.new(other, FRAMES)]
    for leg, point in zip(follow_changes(tracker.follow, changes, SIZE), [new, other], strict=True):
        assert np.isfinite(leg.xy).all()
        places = Queries(point.places)
        np.testing.assert_array_equal(leg.xy[places.t], places.xy)
        assert leg.visible[places.t].all() and not leg.visible[list(point.hidden)].any()
    alone = Queries(other.places)
    joined = join_tracks(tracker.follow(alone, whole(alone)), [other])
    np.testing.assert_array_equal(leg.xy, joined.xy[0])


def test_the_first_correction_gives_what_both_anchors_give() -> None:
    corrections, _, tracker = begin(Queries([[2, 10, 10], [1, 5, 5]], ["eye", ""]))
    corrected = corrections.correct("eye", 7, 30, 20, None)
    both = Queries([[7, 30, 20], [1, 5, 5], [2, 10, 10]], ["eye", "", "eye"])
    placed = both.placed
    joined = both.join(DriftingTracker().follow(placed, whole(placed)))
    np.testing.assert_array_equal(corrected.xy, joined.xy)
    np.testing.assert_array_equal(corrected.confidence, joined.confidence)
    # The new place alone was followed, back to the place before it.
    ((asked, reach),) = tracker.asked
    assert asked.txy.tolist() == [[7, 30, 20]] and reach.tolist() == [[2, FRAMES - 1]]


def test_what_was_found_later_on_is_kept() -> None:
    """A track that was wrong for some frames, and right again, is put right in these."""
    xy = np.tile(np.float32([[10, 10]]), (FRAMES, 1))[None].copy()
    xy[0, 4:7] = [40, 40]
    confidence = np.full((1, FRAMES), 0.9, np.float32)
    confidence[0, 4:7] = 0.3
    tracks = Tracks(xy, confidence > 0.25, [[0, 10, 10]], (256, 256), confidence=confidence)
    corrections = Corrections(DriftingTracker().follow, Queries([[0, 10, 10]]).points, tracks)
    after = corrections.correct(0, 5, 10, 10, None)
    assert np.abs(after.xy[0] - [10, 10]).max() <= 3
    np.testing.assert_array_equal(after.xy[0, -1], [10, 10])


def test_hiding_alone_follows_nothing() -> None:
    corrections, before, tracker = begin(Queries([[2, 10, 10]], ["eye"]))
    after = corrections.hide("eye", range(4, 7), None)
    assert not tracker.asked
    np.testing.assert_array_equal(after.xy, before.xy)
    assert after.confidence[0, 4:7].tolist() == [0, 0, 0]
    assert corrections.hide("eye", 5, None) == after and corrections.undo() == before


def test_a_place_that_is_moved_takes_what_it_led_to_along() -> None:
    corrections, _, _ = begin(Queries([[2, 10, 10]], ["eye"]))
    corrections.correct("eye", 7, 30, 20, None)
    moved = corrections.correct("eye", 7, 12, 12, None)
    other, _, _ = begin(Queries([[2, 10, 10]], ["eye"]))
    straight = other.correct("eye", 7, 12, 12, None)
    np.testing.assert_array_equal(moved.xy, straight.xy)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda c: c.correct("ear", 1, 2, 3, None), "no point is called 'ear'"),
        (lambda c: c.correct(2, 1, 2, 3, None), r"point 2 is none of the tracks' 0\.\.1"),
        (lambda c: c.correct("eye", FRAMES, 2, 3, None), r"of 'eye' is .* frames 0\.\.11"),
        (lambda c: c.correct("eye", 1, 65, 3, None), "of 'eye' is .* outside the frame"),
        (lambda c: c.correct("eye", 1.5, 6, 3, None), "t must be a whole number"),
        (lambda c: c.hide("eye", -1, None), r"frame -1 is none of the video's, 0\.\.11"),
        (lambda c: c.hide("eye", range(0, 13), None), "frame 12 is none"),
        (lambda c: c.hide("eye", 2, None), "'eye' would be hidden wherever"),
    ],
)
def test_what_cannot_be_done_changes_nothing(act, words: str) -> None:
    corrections, before, _ = begin(Queries([[2, 10, 10], [0, 3, 3]], ["eye", ""]))
    with pytest.raises(UserError, match=words) as caught:
        act(corrections)
    assert "\n" not in str(caught.value)
    corrections.correct(1, 0, 4, 4, None)
    assert corrections.undo() == before
