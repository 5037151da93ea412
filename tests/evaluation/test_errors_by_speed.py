"""Where errors are, by the speed of the true point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.evaluation.errors_by_speed import (
    COUNTS,
    add_counts,
    count_errors,
    error_rows,
    group_names,
    ideal_scores,
    true_speeds,
)
from tracker.evaluation.metrics import GroundTruth, tapvid_metrics


def moving(speed: float, frames: int = 6, hidden: tuple[int, ...] = ()) -> GroundTruth:
    """One point that moves to the right, and was asked for in frame 0."""
    xy = np.zeros((1, frames, 2))
    xy[0, :, 0] = 20 + speed * np.arange(frames)
    occluded = np.zeros((1, frames), bool)
    occluded[0, list(hidden)] = True
    return GroundTruth(np.array([[0.0, 20.0, 0.0]]), xy, occluded)


def test_names_of_groups() -> None:
    assert group_names() == ["0-0.5", "0.5-2", "2-5", "5-10", "10-30", "30+"]


@pytest.mark.parametrize(("speed", "group"), [(0.0, "0-0.5"), (2.0, "2-5"), (31.0, "30+")])
def test_frames_are_counted_by_speed(speed: float, group: str) -> None:
    truth = moving(speed)
    shift = np.array([0, 0.5, 1.5, 5.0, 9.0, 20.0])  # the error in each frame; frame 0 is asked
    xy = truth.xy + np.stack([np.zeros(6), shift], -1)
    hidden = np.array([[False, False, False, False, False, True]])
    counts = count_errors(truth, xy, hidden, "first")
    assert counts[group] == dict(zip(COUNTS, (5, 1, 1, 1, 2, 1), strict=True))
    assert sum(c["frames"] for c in counts.values()) == 5


def test_a_hidden_point_has_no_speed() -> None:
    truth = moving(3.0, hidden=(2,))
    truth.xy[0, 2] = 1e6  # where annotations say nothing, anything may stand
    np.testing.assert_allclose(true_speeds(truth), [[3, 3, np.nan, 3, 3, 3]])
    alone = moving(3.0, frames=3, hidden=(0, 2))
    assert np.isnan(true_speeds(alone)).all()
    counts = count_errors(alone, alone.xy, alone.occluded, "strided")
    assert sum(c["frames"] for c in counts.values()) == 0
    assert all(np.isnan(row["within_1"]) for row in error_rows(counts))


def test_ideal_scores() -> None:
    truth = moving(1.0)
    far = truth.xy + 100
    assert ideal_scores(truth, far, truth.occluded, "first") == {
        "jaccard_true_visibility": 0.0,
        "jaccard_true_positions": 1.0,
    }
    everywhere_hidden = np.ones((1, 6), bool)
    assert ideal_scores(truth, truth.xy, everywhere_hidden, "first") == {
        "jaccard_true_visibility": 1.0,
        "jaccard_true_positions": 0.0,
    }


@given(st.integers(0, 2**31))
def test_shares_agree_with_the_metrics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truths, guesses, counts = [], [], []
    for _ in range(2):
        xy = rng.uniform(0, 256, (4, 5, 2)).cumsum(1) / 5
        truth = GroundTruth(np.column_stack([np.zeros(4), xy[:, 0]]), xy, np.zeros((4, 5), bool))
        guess = xy + rng.normal(0, 6, xy.shape)
        truths.append(truth)
        guesses.append(guess)
        counts.append(count_errors(truth, guess, np.zeros((4, 5), bool), "first"))
    rows = error_rows(add_counts(counts))
    assert sum(row["share_of_frames"] for row in rows) == pytest.approx(1)
    filled = [row for row in rows if row["frames"]]
    for row in filled:
        assert sum(row[k] for k in COUNTS[1:5]) == pytest.approx(1)
    within = sum(row["within_1"] * row["frames"] for row in filled) / 32
    scores = [
        tapvid_metrics(t, g, t.occluded, "first")["pts_within_1"]
        for t, g in zip(truths, guesses, strict=True)
    ]
    assert within == pytest.approx(np.mean(scores))
