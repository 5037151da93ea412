"""TAP-Vid's metrics.

All positions are raster pixels of the 256x256 frame that the benchmark is defined on. Formulas
follow Doersch et al., "TAP-Vid: A Benchmark for Tracking Any Point in a Video"
(arXiv 2211.03726), and agree with its reference implementation to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

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
        stride: frames between the queried ones.

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
    truth: GroundTruth, xy: np.ndarray, occluded: np.ndarray, mode: QueryMode
) -> dict[str, float]:
    """Score the predicted tracks of one video.

    Args:
        truth: what `sample_queries` returned, in 256x256 pixels.
        xy: `(N, T, 2)` predictions, in the same pixels.
        occluded: `(N, T) bool` predictions.
        mode: as for `sample_queries`; it decides which frames count.

    Returns:
        `METRIC_NAMES` to fractions in 0..1. A metric without any evaluated frame is NaN.
    """
    return {k: float(v) for k, v in _metrics(truth, xy, occluded, mode, (0, 1)).items()}


def tapvid_metrics_by_track(
    truth: GroundTruth, xy: np.ndarray, occluded: np.ndarray, mode: QueryMode
) -> dict[str, np.ndarray]:
    """Score each track by itself, as `tapvid_metrics` scores a video; `(N,)` for each metric."""
    return _metrics(truth, xy, occluded, mode, 1)


def _metrics(
    truth: GroundTruth,
    xy: np.ndarray,
    occluded: np.ndarray,
    mode: QueryMode,
    axis: int | tuple[int, int],
) -> dict[str, np.ndarray]:
    """Score tracks; sums of `(N, T)` frames are taken over `axis`."""
    query_frames = np.round(truth.queries[:, 0]).astype(int)
    evaluated = evaluated_frames(query_frames, truth.xy.shape[1], mode)
    visible, shown = ~truth.occluded & evaluated, ~occluded & evaluated
    squared_error = np.square(xy - truth.xy).sum(axis=-1)

    def fraction(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return part.sum(axis=axis) / whole

    results: dict[str, np.ndarray] = {}
    for threshold in THRESHOLDS:
        close = squared_error < threshold**2
        hits = close & visible
        # Jaccard: hits that are also shown, over all true points and all false alarms.
        false_alarms = shown & ~hits
        union = visible.sum(axis=axis) + false_alarms.sum(axis=axis)
        results[f"jaccard_{threshold}"] = fraction(hits & shown, union)
        results[f"pts_within_{threshold}"] = fraction(hits, visible.sum(axis=axis))
    results["average_jaccard"] = np.mean([results[f"jaccard_{t}"] for t in THRESHOLDS], axis=0)
    results["average_pts_within_thresh"] = np.mean(
        [results[f"pts_within_{t}"] for t in THRESHOLDS], axis=0
    )
    agreed = (occluded == truth.occluded) & evaluated
    results["occlusion_accuracy"] = fraction(agreed, evaluated.sum(axis=axis))
    return {name: results[name] for name in METRIC_NAMES}


def mean_metrics(
    videos: list[dict[str, Any]], names: Sequence[str] = METRIC_NAMES
) -> dict[str, float]:
    """Average metrics over videos; a video where one is NaN does not count for it.

    Args:
        videos: scores of each video, by name.
        names: which of the scores to average.
    """
    means = {}
    for name in names:
        values = np.array([video[name] for video in videos], np.float64)
        means[name] = float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
    return means
