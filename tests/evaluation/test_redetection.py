"""AJ_RD against its authors' outputs and on paper, and recall after occlusions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.evaluation.metrics import THRESHOLDS, GroundTruth, tapvid_metrics
from tracker.evaluation.redetection import (
    MIN_OCCLUSIONS,
    OCCLUSION_LENGTHS,
    REDETECTION_NAMES,
    eligible_reappearances,
    mean_occlusion_recall,
    occlusion_recall,
    redetection_jaccard,
)

GOLDEN = Path(__file__).with_name("redetection_golden.npz")
"""Random tracks, and the AJ_RD of TAPNext++'s authors for them: `aj_rd.py` of
google-deepmind/tapnet at c2cbab8. All queries are at frame 0, for that code knows none."""


def track(hidden: str, query: int = 0) -> GroundTruth:
    """Return one track that stays at the origin, hidden where the string has an `x`."""
    occluded = np.array([[c == "x" for c in hidden]])
    return GroundTruth(np.array([[query, 0, 0]]), np.zeros((1, len(hidden), 2)), occluded)


def jaccard(hidden: str, shown: str, off: float = 0.0, query: int = 0) -> dict[str, float]:
    """Score a prediction `off` pixels away that hides the point where `shown` has an `x`."""
    truth = track(hidden, query)
    xy = truth.xy + np.array([off, 0])
    return redetection_jaccard(truth, xy, np.array([[c == "x" for c in shown]]))


@pytest.mark.parametrize("case", range(3))
def test_equals_the_outputs_of_the_authors(case: int) -> None:
    with np.load(GOLDEN, allow_pickle=False) as data:
        golden = {k.removeprefix(f"case{case}/"): data[k] for k in data if f"case{case}/" in k}
    xy, occluded = golden["xy"].astype(np.float64), golden["occluded"]
    queries = np.column_stack([np.zeros(len(xy)), xy[:, 0]])
    scores = redetection_jaccard(
        GroundTruth(queries, xy, occluded),
        golden["pred_xy"].astype(np.float64),
        golden["pred_occluded"],
    )
    assert tuple(scores) == REDETECTION_NAMES
    ours = [scores[name] for name in REDETECTION_NAMES]
    assert np.isfinite(golden["aj_rd"]).any()
    np.testing.assert_allclose(ours, golden["aj_rd"], atol=1e-6)


def test_only_occlusions_longer_than_any_before_count() -> None:
    visible = np.array([c == "." for c in ".x..xx.x.xx.xxxxx."])
    assert eligible_reappearances(visible) == [(2, 1), (6, 2), (17, 5)]
    assert eligible_reappearances(np.ones(4, bool)) == []
    assert eligible_reappearances(np.array([1, 0, 0], bool)) == []


def test_average_jaccard_on_paper() -> None:
    # Reappears at 2 after 1 frame, and at 9 after 5. From 2 on: visible 2, 3, 9, 10; all shown but
    # 3, and frame 4 falsely: 3 / (4 + 1). From 9 on: 2 / 2.
    scores = jaccard(".x..xxxxx..", "...x.xxxx..")
    assert scores["redetection_jaccard_from_1"] == pytest.approx((3 / 5 + 1) / 2)
    assert scores["redetection_jaccard_from_4"] == 1
    assert all(np.isnan(scores[f"redetection_jaccard_from_{d}"]) for d in (16, 64, 256))
    assert scores["redetection_average_jaccard"] == pytest.approx((0.8 + 1) / 2)


def test_a_threshold_is_within_itself() -> None:
    # 4 pixels off is a hit for 4, 8 and 16; otherwise both missed and falsely shown: 0 / 2.
    assert jaccard(".x.", "...", off=4)["redetection_jaccard_from_1"] == pytest.approx(3 / 5)
    assert jaccard(".x.", "...", off=4.001)["redetection_jaccard_from_1"] == pytest.approx(2 / 5)


def test_what_lies_before_the_query_is_no_occlusion() -> None:
    assert np.isnan(jaccard("xxxx....", "........", query=4)["redetection_average_jaccard"])
    late = jaccard(".xxxx..x.", ".........", query=5)
    assert late["redetection_jaccard_from_1"] == 1 and np.isnan(late["redetection_jaccard_from_4"])


@settings(deadline=None, max_examples=60)
@given(hidden=st.text(".x", min_size=1, max_size=24), shown=st.text(".x", min_size=24, max_size=24))
def test_one_reappearance_is_the_jaccard_of_the_frames_that_follow(hidden: str, shown: str) -> None:
    hidden, shown = "." + hidden, "." + shown[: len(hidden)]
    truth = track(hidden)
    predicted = np.array([[c == "x" for c in shown]])
    events = eligible_reappearances(~truth.occluded[0])
    scores = redetection_jaccard(truth, truth.xy + np.array([0, 1.5]), predicted)
    assert np.isnan(scores["redetection_average_jaccard"]) == (not events)
    expected = []
    for frame, _ in events:
        # TAP-Vid's own Jaccard of a query put one frame before; nothing lies on a threshold.
        after = slice(frame - 1, None)
        rest = GroundTruth(np.array([[0, 0, 0]]), truth.xy[:, after], truth.occluded[:, after])
        moved = truth.xy[:, after] + np.array([0, 1.5])
        tapvid = tapvid_metrics(rest, moved, predicted[:, after], "first")
        expected.append(np.mean([tapvid[f"jaccard_{t}"] for t in THRESHOLDS]))
    if events:
        assert scores["redetection_jaccard_from_1"] == pytest.approx(np.mean(expected))
    for shortest in MIN_OCCLUSIONS:
        counted = any(length >= shortest for _, length in events)
        assert np.isnan(scores[f"redetection_jaccard_from_{shortest}"]) == (not counted)


def recall(hidden: str, query: int, missed: str, off: float = 0.0) -> dict:
    """Score one track; `x` marks hidden frames, and those where the prediction hides it."""
    occluded = np.array([[c == "x" for c in hidden]])
    xy = np.zeros((1, len(hidden), 2))
    truth = GroundTruth(np.array([[query, 0, 0]]), xy, occluded)
    return occlusion_recall(truth, xy + np.array([off, 0]), np.array([[c == "x" for c in missed]]))


def test_recall_on_paper() -> None:
    #                0123456789abcdef
    result = recall(".x...xxx..xxxxxx.", 0, ".x.x.xxx.xxxxxxx.")
    assert result == {
        "1_2": {"score": pytest.approx(2 / 3), "frames": 3},  # frames 2..4, of which 3 missed
        "3_5": {"score": 0.5, "frames": 2},
        "6_plus": {"score": 1.0, "frames": 1},
    }


def test_recall_needs_an_occlusion_after_the_query() -> None:
    before = recall(".xx......", 3, ".........")
    never = recall(".........", 0, ".........")
    at_the_end = recall("....xxxxx", 0, ".........")
    for result in (before, never, at_the_end):
        assert [group["frames"] for group in result.values()] == [0, 0, 0]
        assert all(np.isnan(group["score"]) for group in result.values())


def test_recall_averages_over_thresholds() -> None:
    assert recall(".xx.", 0, "....", off=3.0)["1_2"]["score"] == pytest.approx(3 / 5)
    assert recall(".xx.", 0, "....", off=99.0)["1_2"]["score"] == 0


def test_recall_is_pooled_over_videos() -> None:
    videos = [recall(".xx..", 0, ".xx.x"), recall(".x.", 0, "..."), recall("...", 0, "...")]
    mean = mean_occlusion_recall(videos)
    assert mean["1_2"] == {"score": pytest.approx(2 / 3), "frames": 3}
    assert all(mean[name]["frames"] == 0 for name in list(OCCLUSION_LENGTHS)[1:])
    assert np.isnan(mean["6_plus"]["score"])
