"""Where a tracker's errors are: by how fast the true point moves.

A frame counts where the true point is visible, there and in a neighbouring frame; its speed is the
larger of the steps from the frame before and to the frame after, in pixels of the 256x256 raster.
Shapes: N points, T frames.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from tracker.evaluation.metrics import GroundTruth, QueryMode, evaluated_frames, tapvid_metrics

SPEEDS = (0.0, 0.5, 2.0, 5.0, 10.0, 30.0, math.inf)
"""Borders of the groups, in pixels of the 256x256 raster a frame."""

COUNTS = ("frames", "within_1", "off_1_to_4", "off_4_to_8", "off_8", "off_8_shown")
"""What is counted: visible frames; their position's error in pixels; of those that are lost, more
than 8 pixels off, how many are shown all the same."""

IDEAL_NAMES = ("jaccard_true_visibility", "jaccard_true_positions")
"""Average Jaccard if visibility were perfect, and if positions were where a point is shown."""


def group_names() -> list[str]:
    """Return the names of the groups, such as `0.5-2` and `30+`."""
    pairs = pairwise(SPEEDS)
    return [f"{low:g}+" if math.isinf(high) else f"{low:g}-{high:g}" for low, high in pairs]


def true_speeds(truth: GroundTruth) -> np.ndarray:
    """Return `(N, T)` pixels a frame; NaN where neither neighbouring frame shows the point.

    Where a point is hidden, annotations do not say where it is.
    """
    seen = np.where(truth.occluded[..., None], np.nan, truth.xy)
    step = np.linalg.norm(np.diff(seen, axis=1), axis=-1)
    before, after = (
        np.pad(step, ((0, 0), pad), constant_values=np.nan) for pad in ((1, 0), (0, 1))
    )
    return np.fmax(before, after)


def count_errors(
    truth: GroundTruth, xy: np.ndarray, occluded: np.ndarray, mode: QueryMode
) -> dict[str, dict[str, int]]:
    """Count the frames of one video by speed and error.

    Args:
        truth: what `sample_queries` returned, in 256x256 pixels.
        xy: `(N, T, 2)` predictions, in the same pixels.
        occluded: `(N, T) bool` predictions.
        mode: as for `sample_queries`; it decides which frames count.

    Returns:
        `COUNTS` for each of `group_names()`.
    """
    query_frames = np.round(truth.queries[:, 0]).astype(int)
    counted = evaluated_frames(query_frames, truth.xy.shape[1], mode) & ~truth.occluded
    distance = np.linalg.norm(xy - truth.xy, axis=-1)
    speed = true_speeds(truth)
    kinds = {
        "frames": np.ones_like(counted),
        "within_1": distance < 1,
        "off_1_to_4": (distance >= 1) & (distance < 4),
        "off_4_to_8": (distance >= 4) & (distance < 8),
        "off_8": distance >= 8,
        "off_8_shown": (distance >= 8) & ~occluded,
    }
    groups = zip(group_names(), SPEEDS[:-1], SPEEDS[1:], strict=True)
    return {
        name: {
            kind: int((counted & (speed >= low) & (speed < high) & chosen).sum())
            for kind, chosen in kinds.items()
        }
        for name, low, high in groups
    }


def ideal_scores(
    truth: GroundTruth, xy: np.ndarray, occluded: np.ndarray, mode: QueryMode
) -> dict[str, float]:
    """Return `IDEAL_NAMES`: what is to be gained by either half of the task; see `count_errors`."""
    perfect = {
        "jaccard_true_visibility": (xy, truth.occluded),
        "jaccard_true_positions": (truth.xy, occluded),
    }
    return {
        name: tapvid_metrics(truth, *half, mode)["average_jaccard"]
        for name, half in perfect.items()
    }


def add_counts(videos: list[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """Add up the counts of several videos."""
    return {
        name: {kind: sum(video[name][kind] for video in videos) for kind in COUNTS}
        for name in group_names()
    }


def error_rows(counts: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    """Turn counts into rows: `speed`, `frames`, and shares of the group's frames.

    `share_of_frames` is that of the group among all groups; other shares are NaN where it is empty.
    """
    total = sum(group["frames"] for group in counts.values())
    rows = []
    for name, group in counts.items():
        frames = group["frames"]
        row: dict[str, Any] = {"speed": name, "frames": frames}
        row["share_of_frames"] = frames / total if total else math.nan
        row |= {k: group[k] / frames if frames else math.nan for k in COUNTS[1:]}
        rows.append(row)
    return rows
