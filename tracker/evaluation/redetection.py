"""How well points are found again after they were hidden: two scores that say different things.

`redetection_jaccard` is AJ_RD of TAPNext++ (Jung et al., "TAPNext++: What's Next for Tracking Any
Point (TAP)?", CVPR 2026 Findings, arXiv 2604.10582), by the authors' code
(github.com/google-deepmind/tapnet, tapnextpp/metrics/aj_rd.py): Jaccard from a reappearance to the
end of the video, false alarms included, over occlusions that are longer than any before.

`occlusion_recall` is ours: the share of frames, of every visible run that follows an occlusion, in
which the point is found, by the length of that occlusion; for short clips, and silent about false
alarms. It was called re-detection before.

All positions are raster pixels of the 256x256 frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracker.evaluation.metrics import THRESHOLDS, GroundTruth

MIN_OCCLUSIONS = (1, 4, 16, 64, 256)
"""AJ_RD is a mean over these: scores of reappearances after at least so many hidden frames."""

REDETECTION_NAMES = (
    "redetection_average_jaccard",
    *(f"redetection_jaccard_from_{frames}" for frames in MIN_OCCLUSIONS),
)
"""What `redetection_jaccard` returns: AJ_RD, and its part for each of `MIN_OCCLUSIONS`."""

OCCLUSION_LENGTHS: dict[str, tuple[int, int | None]] = {
    "1_2": (1, 2),
    "3_5": (3, 5),
    "6_plus": (6, None),
}
"""Frames that a point was hidden, by the name used in `occlusion_recall` results."""


def redetection_jaccard(
    truth: GroundTruth, xy: np.ndarray, occluded: np.ndarray
) -> dict[str, float]:
    """Score one video by AJ_RD.

    A reappearance is a visible frame after a hidden one. It is eligible if the occlusion that it
    ends is longer than all earlier ones of its track. From there to the end of the video its
    Jaccard is TP / (visible frames + FP): TP are frames where the point is visible, shown and at
    most a threshold off; FP those where it is shown but hidden, or farther off. (TAP-Vid's own
    thresholds exclude their own value, these include it.) That is averaged over eligible
    reappearances after at least so many hidden frames, then over the five thresholds, which gives
    one score for each of `MIN_OCCLUSIONS`; the mean of those that exist is AJ_RD.

    Two things the authors' code leaves open. It has no queries: here a track begins at its query,
    so that frames before, where no point was asked for, are no occlusion. And it does not say how
    videos are averaged: see `mean_metrics`, which takes the mean over videos as TAP-Vid does.

    Args:
        truth: queries, and their true tracks.
        xy: `(N, T, 2)` predictions.
        occluded: `(N, T) bool` predictions.

    Returns:
        `REDETECTION_NAMES` to fractions in 0..1; NaN where no reappearance counts.
    """
    lengths, scores = [], []
    for point, query in enumerate(np.round(truth.queries[:, 0]).astype(int)):
        visible = ~truth.occluded[point, query:]
        shown = ~occluded[point, query:]
        distance = np.linalg.norm(xy[point, query:] - truth.xy[point, query:], axis=-1)
        for start, length in eligible_reappearances(visible):
            lengths.append(length)
            scores.append(_jaccard(visible[start:], shown[start:], distance[start:]))
    results = {}
    for shortest in MIN_OCCLUSIONS:
        counted = [s for s, length in zip(scores, lengths, strict=True) if length >= shortest]
        results[f"redetection_jaccard_from_{shortest}"] = (
            float(np.mean(counted)) if counted else float("nan")
        )
    known = [score for score in results.values() if not np.isnan(score)]
    return {"redetection_average_jaccard": float(np.mean(known or [np.nan])), **results}


def eligible_reappearances(visible: np.ndarray) -> list[tuple[int, int]]:
    """Return `(frame, frames hidden before it)` where a track reappears and AJ_RD counts it.

    Args:
        visible: `(T,) bool`, true visibility from the query on.
    """
    found = []
    hidden = longest = 0
    for t, is_visible in enumerate(visible.tolist()):
        if is_visible and hidden > longest:
            longest = hidden
            found.append((t, hidden))
        hidden = 0 if is_visible else hidden + 1
    return found


def _jaccard(visible: np.ndarray, shown: np.ndarray, distance: np.ndarray) -> float:
    """Return the mean over thresholds of the Jaccard of one stretch, each `(T,)`."""
    scores = []
    for threshold in THRESHOLDS:
        hits = visible & shown & (distance <= threshold)
        scores.append(hits.sum() / (visible.sum() + (shown & ~hits).sum()))
    return float(np.mean(scores))


def occlusion_recall(
    truth: GroundTruth, xy: np.ndarray, occluded: np.ndarray
) -> dict[str, dict[str, float]]:
    """Score how often points are found in the visible runs that follow occlusions.

    Every run of visible frames that follows an occlusion after the query frame counts, grouped by
    how long the point had been hidden. A frame is found where the point is both shown and within a
    threshold of the truth; the score averages over the five thresholds.

    Args:
        truth: queries, and their true tracks.
        xy: `(N, T, 2)` predictions.
        occluded: `(N, T) bool` predictions.

    Returns:
        For each of `OCCLUSION_LENGTHS`: `score` (NaN where there are no frames) and `frames`.
    """
    visible = ~truth.occluded
    hidden_for = _occlusion_before(visible, np.round(truth.queries[:, 0]).astype(int))
    distance = np.linalg.norm(xy - truth.xy, axis=-1)
    found = np.mean([(distance < t) & ~occluded for t in THRESHOLDS], axis=0)
    results = {}
    for name, (shortest, longest) in OCCLUSION_LENGTHS.items():
        counted = visible & (hidden_for >= shortest) & (hidden_for <= (longest or np.inf))
        score = float(found[counted].mean()) if counted.any() else float("nan")
        results[name] = {"score": score, "frames": int(counted.sum())}
    return results


def mean_occlusion_recall(videos: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Pool `occlusion_recall` of all videos: few of them have occlusions of every length."""
    result = {}
    for name in OCCLUSION_LENGTHS:
        groups = [video[name] for video in videos if video[name]["frames"]]
        frames = sum(group["frames"] for group in groups)
        total = sum(group["score"] * group["frames"] for group in groups)
        result[name] = {"score": total / frames if frames else float("nan"), "frames": frames}
    return result


def _occlusion_before(visible: np.ndarray, query_frames: np.ndarray) -> np.ndarray:
    """Return `(N, T)`: length of the occlusion that ended before each visible run, 0 if none."""
    result = np.zeros(visible.shape, int)
    hidden = np.zeros(len(visible), int)
    current = np.zeros(len(visible), int)
    for t in range(visible.shape[1]):
        after_query = t > query_frames
        now = visible[:, t]
        current = np.where(now & (hidden > 0), hidden, current)
        hidden = np.where(now | ~after_query, 0, hidden + 1)
        current = np.where(after_query, current, 0)
        result[:, t] = np.where(now, current, 0)
    return result
