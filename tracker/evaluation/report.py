"""The scores of a run: kept in `metrics.json` as they come, and shown as a table."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tracker.errors import UserError, log
from tracker.evaluation.errors_by_speed import IDEAL_NAMES, add_counts, error_rows
from tracker.evaluation.metrics import (
    METRIC_NAMES,
    THRESHOLDS,
    mean_metrics,
)
from tracker.evaluation.redetection import (
    OCCLUSION_LENGTHS,
    REDETECTION_NAMES,
    mean_occlusion_recall,
)
from tracker.files import atomic_path

SCALARS = (*METRIC_NAMES, *REDETECTION_NAMES, *IDEAL_NAMES)
"""Scores of a video that are one number."""


class Report:
    """Scores of a run, kept in `metrics.json`; reopened where an earlier run was interrupted.

    Args:
        folder: where results go.
        benchmark: its name.
        trackers: names of those in this run, each with the fingerprint of its weights or None;
            an earlier result of other weights does not count.
        identity: whatever must be equal for any earlier result to count.

    Raises:
        UserError: the folder holds results of another benchmark.
    """

    def __init__(
        self,
        folder: Path,
        benchmark: str,
        trackers: dict[str, str | None],
        identity: dict[str, Any],
    ) -> None:
        self.folder = folder
        self.path = folder / "metrics.json"
        self.content: dict[str, Any] = {
            "benchmark": benchmark,
            **identity,
            "weights": trackers,
            "complete": False,
            "trackers": {},
            "failed": {},
        }
        earlier = self._earlier()
        if earlier:
            self._compare(earlier)
        same = {k: earlier.get(k) for k in identity} == identity
        if same and earlier.get("benchmark") == benchmark and earlier.get("complete") is False:
            known = earlier["trackers"]
            self.content["trackers"] = {
                name: known[name]
                for name, fingerprint in trackers.items()
                if name in known
                and earlier.get("weights", {}).get(name) == fingerprint
                # An earlier version may have known fewer scores.
                and all(set(SCALARS) <= v.keys() for v in known[name]["videos"].values())
            }

    def _compare(self, earlier: dict[str, Any]) -> None:
        """Refuse to replace another benchmark's results, and tell where those of others go."""
        names = {key: (earlier.get(key), self.content[key]) for key in ("benchmark", "path")}
        for key, (theirs, ours) in names.items():
            if theirs != ours:
                raise UserError(
                    f"{self.folder} holds results of {key} {theirs}, not {ours}; give another "
                    "output_dir="
                )
        if earlier.get("complete"):
            log.warning("the results of an earlier run in %s are replaced", self.folder)

    def _earlier(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def has(self, tracker: str, video: str) -> bool:
        """Return whether that tracker's scores of that video are known already."""
        return video in self.content["trackers"].get(tracker, {}).get("videos", {})

    def add(self, tracker: str, video: str, scores: dict[str, Any]) -> None:
        """Keep a tracker's scores of a video and write them at once."""
        entry = self.content["trackers"].setdefault(tracker, {"mean": {}, "videos": {}})
        entry["videos"][video] = scores
        self._save()

    def fail(self, video: str, reason: str, traceback: str | None = None) -> None:
        """Note a failure; an interrupted run that resumes tries the video again.

        Args:
            video: its name.
            reason: in one line.
            traceback: where in the code it failed, if that is a fault of the code.
        """
        self.content["failed"][video] = {"reason": reason, "traceback": traceback}

    def finish(self) -> None:
        """Say that all videos were tried, and write the tables as CSV, too."""
        self.content["complete"] = True
        self._save()
        self._save_csv()
        self._save_errors()

    @property
    def failed(self) -> dict[str, str]:
        """Videos that could not be scored, with the reason in one line."""
        return {video: entry["reason"] for video, entry in self.content["failed"].items()}

    @property
    def trackers(self) -> dict[str, dict[str, Any]]:
        """By tracker: `mean`, and all scores by video in `videos`."""
        return self.content["trackers"]

    def _save(self) -> None:
        for entry in self.trackers.values():
            videos = list(entry["videos"].values())
            means = mean_metrics([_nan_for_none(v) for v in videos], SCALARS)
            recall = mean_occlusion_recall([v["occlusion_recall"] for v in videos])
            entry["mean"] = {**means, "occlusion_recall": recall}
            entry["seconds_per_video"] = float(np.mean([v["seconds"] for v in videos]))
        with atomic_path(self.path) as partial:
            partial.write_text(json.dumps(_none_for_nan(self.content), indent=1) + "\n")

    def _save_csv(self) -> None:
        with (
            atomic_path(self.folder / "metrics.csv") as partial,
            partial.open("w", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["tracker", "video", *SCALARS, "seconds"])
            for name, entry in _none_for_nan(self.trackers).items():
                rows = [*entry["videos"].items(), ("mean", entry["mean"])]
                for video, scores in rows:
                    seconds = scores.get("seconds", entry["seconds_per_video"])
                    writer.writerow([name, video, *(scores[m] for m in SCALARS), seconds])

    def _save_errors(self) -> None:
        rows = []
        for name, entry in self.trackers.items():
            videos = [v["errors_by_speed"] for v in entry["videos"].values()]
            rows += [{"tracker": name, **row} for row in error_rows(add_counts(videos))]
        with (
            atomic_path(self.folder / "errors.csv") as partial,
            partial.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(_none_for_nan(row) for row in rows)


def format_table(report: Report) -> str:
    """Return the scores as a table in percent, one row a tracker.

    `<d` is the share of visible points within d pixels of 256x256; `AJ_RD` is TAPNext++'s
    re-detection score; `recall` is the share found again after occlusions of 1-2, 3-5 and 6 or
    more frames (see `tracker.evaluation.redetection`).
    """
    content = report.content
    size = content["input_size"]
    frames = "native frames" if size == "native" else f"frames resized to {size}x{size}"
    videos = max(len(entry["videos"]) for entry in report.trackers.values())
    columns = [f"{c:>5}" for c in ("AJ", "delta", "OA", *(f"<{t}" for t in THRESHOLDS))]
    keys = [*METRIC_NAMES[:3], *(f"pts_within_{t}" for t in THRESHOLDS), REDETECTION_NAMES[0]]
    columns += ["AJ_RD", "recall 1-2", "recall 3-5", "recall 6+"]
    width = max(7, *(len(name) for name in report.trackers))
    lines = [
        f"{content['benchmark']}, {content['query_mode']} queries, {videos} videos, {frames}; "
        "scores in % on 256x256",
        f"{'tracker':<{width}}" + "".join(f"{c:>{len(c) + 2}}" for c in columns) + "  s/video",
    ]
    for name, entry in report.trackers.items():
        recall = entry["mean"]["occlusion_recall"]
        values = [entry["mean"][k] for k in keys] + [recall[k]["score"] for k in OCCLUSION_LENGTHS]
        cells = "".join(
            f"{_percent(v):>{len(c) + 2}}" for v, c in zip(values, columns, strict=True)
        )
        lines.append(f"{name:<{width}}{cells}{entry['seconds_per_video']:>9.2f}")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def _none_for_nan(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {k: _none_for_nan(v) for k, v in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _nan_for_none(scores: dict[str, Any]) -> dict[str, Any]:
    return {k: float("nan") if v is None else v for k, v in scores.items()}
