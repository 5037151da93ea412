"""TAP-Vid's metrics against a literal loop, fixed numbers, their properties and the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import UserError
from tracker.evaluation.metrics import (
    METRIC_NAMES,
    THRESHOLDS,
    GroundTruth,
    QueryMode,
    evaluated_frames,
    mean_metrics,
    sample_queries,
    tapvid_metrics,
    tapvid_metrics_by_track,
)

MODES = ("first", "strided")
GOLDEN = Path(__file__).with_name("tapvid_metrics_golden.npz")
"""Random inputs, and what TAP-Vid's reference implementation makes of them; computed with
google-deepmind/tapnet at c2cbab8."""


def random_case(seed: int, count: int = 5, length: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """Return true `xy (N, T, 2)` in 256ths and `occluded (N, T)`, some never visible."""
    rng = np.random.default_rng(seed)
    occluded = rng.random((count, length)) < 0.35
    occluded[0] = rng.random() < 0.5
    return rng.uniform(0, 256, (count, length, 2)), occluded


def random_prediction(seed: int, truth: GroundTruth) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed + 1000)
    spread = rng.choice([0.3, 2.0, 6.0, 30.0], truth.occluded.shape)[..., None]
    xy = truth.xy + rng.normal(size=truth.xy.shape) * spread
    return xy, truth.occluded ^ (rng.random(truth.occluded.shape) < 0.2)


def literal_metrics(
    truth: GroundTruth, xy: np.ndarray, occluded: np.ndarray, mode: QueryMode
) -> dict[str, float]:
    """The definitions of the TAP-Vid paper, frame by frame."""
    frames = [
        (n, t)
        for n in range(len(truth.queries))
        for t in range(truth.xy.shape[1])
        if (t > truth.queries[n, 0] if mode == "first" else t != truth.queries[n, 0])
    ]
    agreed = [occluded[n, t] == truth.occluded[n, t] for n, t in frames]
    result = {"occlusion_accuracy": sum(agreed) / len(frames)}
    for d in THRESHOLDS:
        true_positives = false_positives = false_negatives = within = visible = 0
        for n, t in frames:
            dx, dy = xy[n, t] - truth.xy[n, t]
            near = (dx * dx + dy * dy) ** 0.5 < d
            really, claimed = not truth.occluded[n, t], not occluded[n, t]
            visible += really
            within += really and near
            true_positives += really and claimed and near
            # A visible point found in the wrong place is both missed and falsely claimed.
            false_positives += claimed and not (really and near)
            false_negatives += really and not (claimed and near)
        result[f"pts_within_{d}"] = within / visible
        whole = true_positives + false_positives + false_negatives
        result[f"jaccard_{d}"] = true_positives / whole
    for mean, part in (
        ("average_jaccard", "jaccard"),
        ("average_pts_within_thresh", "pts_within"),
    ):
        result[mean] = sum(result[f"{part}_{d}"] for d in THRESHOLDS) / len(THRESHOLDS)
    return result


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(6))
def test_equals_a_literal_loop(mode: QueryMode, seed: int) -> None:
    truth = sample_queries(*random_case(seed), mode)
    xy, occluded = random_prediction(seed, truth)
    ours = tapvid_metrics(truth, xy, occluded, mode)
    expected = literal_metrics(truth, xy, occluded, mode)
    assert set(ours) == set(METRIC_NAMES) == set(expected)
    for name in METRIC_NAMES:
        assert ours[name] == pytest.approx(expected[name], abs=1e-12), name


def test_golden_numbers_of_a_case_on_paper() -> None:
    # One point, asked at frame 0; then: 0.5 px off, 3 px off, hidden but claimed at 0 px off,
    # visible but not claimed at 1.5 px off, hidden and not claimed.
    xy = np.zeros((1, 6, 2)) + 100
    hidden = np.array([[0, 0, 0, 1, 0, 1]], bool)
    predicted = xy.copy()
    predicted[0, 1:5, 0] += [0.5, 3, 0, 1.5]
    truth = sample_queries(xy, hidden, "first")
    scores = tapvid_metrics(truth, predicted, np.array([[0, 0, 0, 0, 1, 1]], bool), "first")
    expected = {
        "pts_within_1": 1 / 3,
        "pts_within_2": 2 / 3,
        "pts_within_4": 1.0,
        "pts_within_8": 1.0,
        "pts_within_16": 1.0,
        # true positives / (3 visible + false positives)
        "jaccard_1": 1 / 5,
        "jaccard_2": 1 / 5,
        "jaccard_4": 2 / 4,
        "jaccard_8": 2 / 4,
        "jaccard_16": 2 / 4,
        "average_pts_within_thresh": 0.8,
        "average_jaccard": 0.38,
        "occlusion_accuracy": 3 / 5,
    }
    assert scores == pytest.approx(expected)


def test_a_threshold_is_not_within_itself() -> None:
    xy = np.zeros((1, 2, 2))
    truth = sample_queries(xy, np.zeros((1, 2), bool), "first")
    scores = tapvid_metrics(truth, xy + np.array([0, 4]), np.zeros((1, 2), bool), "first")
    assert [scores[f"pts_within_{d}"] for d in THRESHOLDS] == [0, 0, 0, 1, 1]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), mode=st.sampled_from(MODES), shuffle=st.randoms())
def test_properties(seed: int, mode: QueryMode, shuffle: object) -> None:
    truth = sample_queries(*random_case(seed), mode)
    perfect = tapvid_metrics(truth, truth.xy, truth.occluded, mode)
    assert all(value == 1 or np.isnan(value) for value in perfect.values())
    xy, occluded = random_prediction(seed, truth)
    scores = tapvid_metrics(truth, xy, occluded, mode)
    for kind in ("jaccard", "pts_within"):
        by_threshold = [scores[f"{kind}_{d}"] for d in THRESHOLDS]
        if not np.isnan(by_threshold).any():
            assert by_threshold == sorted(by_threshold)
            assert by_threshold[0] >= 0 and by_threshold[-1] <= 1
    assert not scores["average_jaccard"] > scores["average_pts_within_thresh"] + 1e-12
    # The order of tracks does not matter, nor what is predicted where nobody looks.
    order = list(range(len(truth.queries)))
    shuffle.shuffle(order)
    moved = GroundTruth(truth.queries[order], truth.xy[order], truth.occluded[order])
    again = tapvid_metrics(moved, xy[order], occluded[order], mode)
    assert again == pytest.approx(scores, nan_ok=True)
    unseen = np.where(truth.occluded[..., None], np.nan, xy)
    assert tapvid_metrics(truth, unseen, occluded, mode) == pytest.approx(scores, nan_ok=True)
    # One row per track is the score of that track alone.
    rows = tapvid_metrics_by_track(truth, xy, occluded, mode)
    for n in range(len(truth.queries)):
        alone = GroundTruth(truth.queries[[n]], truth.xy[[n]], truth.occluded[[n]])
        single = tapvid_metrics(alone, xy[[n]], occluded[[n]], mode)
        assert {k: v[n] for k, v in rows.items()} == pytest.approx(single, nan_ok=True)


def test_queries_first() -> None:
    xy, occluded = random_case(3)
    occluded[1] = [1, 1, 0] + [1] * 8
    occluded[2] = True
    truth = sample_queries(xy, occluded, "first")
    assert len(truth.queries) == 5 - occluded.all(axis=1).sum()
    row = next(
        q for q, o in zip(truth.queries, truth.occluded, strict=True) if (o == occluded[1]).all()
    )
    np.testing.assert_array_equal(row, [2, *xy[1, 2]])


def test_queries_strided_are_ordered_by_frame() -> None:
    xy, occluded = random_case(4)
    truth = sample_queries(xy, occluded, "strided")
    expected = [(t, n) for t in range(0, 11, 5) for n in range(5) if not occluded[n, t]]
    assert len(truth.queries) == len(expected)
    for row, track, (t, n) in zip(truth.queries, truth.xy, expected, strict=True):
        np.testing.assert_array_equal(row, [t, *xy[n, t]])
        np.testing.assert_array_equal(track, xy[n])
    with pytest.raises(UserError, match="neither"):
        sample_queries(xy, occluded, "last")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="neither"):
        evaluated_frames(np.zeros(2), 5, "last")  # type: ignore[arg-type]


def test_nothing_to_judge_is_nan_and_does_not_count() -> None:
    xy = np.zeros((1, 3, 2))
    last = sample_queries(xy, np.array([[1, 1, 0]], bool), "first")
    empty = tapvid_metrics(last, last.xy, last.occluded, "first")
    assert all(np.isnan(v) for v in empty.values())
    other = dict.fromkeys(METRIC_NAMES, 0.25)
    assert mean_metrics([empty, other]) == other
    assert all(np.isnan(v) for v in mean_metrics([empty]).values())
    assert mean_metrics([other, dict.fromkeys(METRIC_NAMES, 0.75)])["jaccard_1"] == 0.5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", range(3))
def test_equals_the_outputs_of_the_reference(case: int, mode: QueryMode) -> None:
    with np.load(GOLDEN, allow_pickle=False) as data:
        golden = {k.removeprefix(f"case{case}/"): data[k] for k in data if f"case{case}/" in k}
    theirs = {k.removeprefix(f"{mode}/"): v for k, v in golden.items() if k.startswith(mode)}
    truth = sample_queries(golden["points"].astype(np.float64) * 256, golden["occluded"], mode)
    order = theirs["query_points_tyx"]
    np.testing.assert_allclose(truth.queries, order[:, [0, 2, 1]], rtol=1e-5)
    np.testing.assert_array_equal(truth.occluded, theirs["target_occluded"])
    np.testing.assert_allclose(truth.xy, theirs["target_points_xy"], rtol=1e-5)
    exact = GroundTruth(order[:, [0, 2, 1]], theirs["target_points_xy"], truth.occluded)
    scores = tapvid_metrics(exact, theirs["pred_points_xy"], theirs["pred_occluded"], mode)
    compared = [k.removeprefix("metric/") for k in theirs if k.startswith("metric/")]
    assert set(compared) == set(METRIC_NAMES)
    for name in compared:
        assert scores[name] == pytest.approx(float(theirs[f"metric/{name}"]), abs=1e-6), name
