"""TAP-Vid's metrics, and re-detection after occlusion.

All positions are raster pixels of the 256x256 frame that the benchmark is defined on. Formulas
follow Doersch et al., "TAP-Vid: A Benchmark for Tracking Any Point in a Video"
(arXiv 2211.03726), and agree with its reference implementation to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tracker.errors import UserError

QueryMode = Literal["first", "strided"]
THRESHOLDS = (1, 2, 4, 8, 16)
"""Pixels of the 256x256 frame."""

RASTER = (256, 256)
"""`(W, H)` on which positions are compared."""

METRIC_NAMES = (
    "average_jaccard",
    "average_pts_within_thresh",
    "occlusion_accuracy",
    *(f"jaccard_{t}" for t in THRESHOLDS),
    *(f"pts_within_{t}" for t in THRESHOLDS),
)

OCCLUSION_LENGTHS = {"1_2": (1, 2), "3_5": (3, 5), "6_plus": (6, None)}
"""Frames that a point was hidden, by the name used in `redetection` results."""


@dataclass(frozen=True)
class GroundTruth:
    """Queries with the true tracks that they should lead to.

    Attributes:
        queries: `(N, 3)` as `t, x, y`.
        xy: `(N, T, 2)`.
        occluded: `(N, T) bool`.
    """

    queries: np.ndarray
    xy: np.ndarray
    occluded: np.ndarray


def check_query_mode(mode: str) -> None:
    """Refuse what is none of `QueryMode`.

    Raises:
        UserError: it is none.
    """
    if mode not in get_args(QueryMode):
        raise UserError(f"query mode {mode!r} is neither 'first' nor 'strided'")


def sample_queries(
    xy: np.ndarray, occluded: np.ndarray, mode: QueryMode, stride: int = 5
) -> GroundTruth:
    """Turn annotated tracks into queries as TAP-Vid does.

    Args:
        xy: `(N, T, 2)` true positions.
        occluded: `(N, T) bool`.
        mode: `first` asks each track once, at its first visible frame; `strided` asks every
            visible point of every `stride`-th frame, in order of frames.

    Returns:
        The queries, with the truth repeated for each; tracks that are never visible are left out.
    """
    check_query_mode(mode)
    if mode == "first":
        tracks = np.flatnonzero(~occluded.all(axis=1))
        times = (~occluded[tracks]).argmax(axis=1)
    else:
        times, tracks = np.nonzero(~occluded[:, ::stride].T)
        times = times * stride
    queries = np.column_stack([times, xy[tracks, times]])
    return GroundTruth(queries, xy[tracks], occluded[tracks])


def evaluated_frames(query_frames: np.ndarray, num_frames: int, mode: QueryMode) -> np.ndarray:
    """Return `(N, T) bool`: frames after the query (`first`), or all others (`strided`)."""
    check_query_mode(mode)
    frames = np.arange(num_frames)[None]
    query = np.asarray(query_frames)[:, None]
    return frames > query if mode == "first" else frames != query


def tapvid_metrics(
    truth: GroundTruth,
    xy: np.ndarray,
    occluded: np.ndarray,
    mode: QueryMode,
    per_track: bool = False,
) -> dict[str, float] | dict[str, np.ndarray]:
    """Score the predicted tracks of one video.

    Args:
        truth: what `sample_queries` returned, in 256x256 pixels.
        xy: `(N, T, 2)` predictions, in the same pixels.
        occluded: `(N, T) bool` predictions.
        per_track: return an array `(N,)` for each metric instead of one number for the video.

    Returns:
        `METRIC_NAMES` to fractions in 0..1. A metric without any frame to judge is NaN.
    """
    axis = 1 if per_track else (0, 1)
    query_frames = np.round(truth.queries[:, 0]).astype(int)
    evaluated = evaluated_frames(query_frames, truth.xy.shape[1], mode)
    seen, claimed = ~truth.occluded & evaluated, ~occluded & evaluated
    squared_error = np.square(xy - truth.xy).sum(axis=-1)

    def fraction(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return part.sum(axis=axis) / whole

    results = {}
    for threshold in THRESHOLDS:
        close = squared_error < threshold**2
        hits = close & seen
        # Jaccard: hits that are also shown, over all true points and all false alarms.
        false_alarms = claimed & ~hits
        union = seen.sum(axis=axis) + false_alarms.sum(axis=axis)
        results[f"jaccard_{threshold}"] = fraction(hits & claimed, union)
        results[f"pts_within_{threshold}"] = fraction(hits, seen.sum(axis=axis))
    results["average_jaccard"] = np.mean([results[f"jaccard_{t}"] for t in THRESHOLDS], axis=0)
    results["average_pts_within_thresh"] = np.mean(
        [results[f"pts_within_{t}"] for t in THRESHOLDS], axis=0
    )
    agreed = (occluded == truth.occluded) & evaluated
    results["occlusion_accuracy"] = fraction(agreed, evaluated.sum(axis=axis))
    if per_track:
        return {name: results[name] for name in METRIC_NAMES}
    return {name: float(results[name]) for name in METRIC_NAMES}


def redetection(
    truth: GroundTruth, xy: np.ndarray, occluded: np.ndarray
) -> dict[str, dict[str, float]]:
    """Score how well points are found again after they were hidden.

    Every run of visible frames that follows an occlusion after the query frame counts, grouped by
    how long the point had been hidden (the idea of re-detection in recent work such as TAPNext++,
    with the groups that suit short clips). A frame is found where the point is both shown and
    within a threshold of the truth; the score averages over the five thresholds.

    Returns:
        For each of `OCCLUSION_LENGTHS`: `score` (NaN where there are no frames) and `frames`.
    """
    seen = ~truth.occluded
    hidden_for = _occlusion_before(seen, np.round(truth.queries[:, 0]).astype(int))
    distance = np.linalg.norm(xy - truth.xy, axis=-1)
    found = np.mean([(distance < t) & ~occluded for t in THRESHOLDS], axis=0)
    results = {}
    for name, (shortest, longest) in OCCLUSION_LENGTHS.items():
        chosen = seen & (hidden_for >= shortest) & (hidden_for <= (longest or np.inf))
        score = float(found[chosen].mean()) if chosen.any() else float("nan")
        results[name] = {"score": score, "frames": int(chosen.sum())}
    return results


def _occlusion_before(seen: np.ndarray, query_frames: np.ndarray) -> np.ndarray:
    """Return `(N, T)`: length of the occlusion that ended before each visible run, 0 if none."""
    result = np.zeros(seen.shape, int)
    hidden = np.zeros(len(seen), int)
    current = np.zeros(len(seen), int)
    for t in range(seen.shape[1]):
        after_query = t > query_frames
        visible = seen[:, t]
        reappears = visible & (hidden > 0)
        current = np.where(reappears, hidden, current)
        hidden = np.where(visible | ~after_query, 0, hidden + 1)
        current = np.where(after_query, current, 0)
        result[:, t] = np.where(visible, current, 0)
    return result


def mean_metrics(videos: list[dict[str, float]]) -> dict[str, float]:
    """Average each metric over videos; a video where it is NaN does not count for it."""
    means = {}
    for name in METRIC_NAMES:
        values = np.array([video[name] for video in videos], np.float64)
        means[name] = float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
    return means
