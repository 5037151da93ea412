"""The scores of a run: kept in `metrics.json` as they come, and shown as a table."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tracker.evaluation.metrics import (
    METRIC_NAMES,
    OCCLUSION_LENGTHS,
    THRESHOLDS,
    mean_metrics,
)
from tracker.files import atomic_path


class Report:
    """Scores of a run, kept in `metrics.json`; reopened where an earlier run was interrupted.

    Args:
        folder: where results go.
        benchmark: its name.
        trackers: names of those in this run, each with the fingerprint of its weights or None;
            an earlier result of other weights does not count.
        identity: whatever must be equal for any earlier result to count.
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
        same = {k: earlier.get(k) for k in identity} == identity
        if same and earlier.get("benchmark") == benchmark and earlier.get("complete") is False:
            known = earlier["trackers"]
            self.content["trackers"] = {
                name: known[name]
                for name, fingerprint in trackers.items()
                if name in known and earlier.get("weights", {}).get(name) == fingerprint
            }

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

    def fail(self, video: str, message: str) -> None:
        """Note a failure; an interrupted run that resumes tries the video again."""
        self.content["failed"][video] = message

    def finish(self) -> None:
        """Say that all videos were tried, and write the table as CSV, too."""
        self.content["complete"] = True
        self._save()
        self._save_csv()

    @property
    def failed(self) -> dict[str, str]:
        """Videos that could not be scored, with the reason."""
        return self.content["failed"]

    @property
    def trackers(self) -> dict[str, dict[str, Any]]:
        """By tracker: `mean`, and all scores by video in `videos`."""
        return self.content["trackers"]

    def _save(self) -> None:
        for entry in self.trackers.values():
            videos = list(entry["videos"].values())
            entry["mean"] = mean_metrics([_nan_for_none(v) for v in videos])
            entry["mean"]["redetection"] = _mean_redetection(videos)
            entry["seconds_per_video"] = float(np.mean([v["seconds"] for v in videos]))
        with atomic_path(self.path) as partial:
            partial.write_text(json.dumps(_none_for_nan(self.content), indent=1) + "\n")

    def _save_csv(self) -> None:
        with (
            atomic_path(self.folder / "metrics.csv") as partial,
            partial.open("w", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["tracker", "video", *METRIC_NAMES, "seconds"])
            for name, entry in _none_for_nan(self.trackers).items():
                rows = [*entry["videos"].items(), ("mean", entry["mean"])]
                for video, scores in rows:
                    seconds = scores.get("seconds", entry["seconds_per_video"])
                    writer.writerow([name, video, *(scores[m] for m in METRIC_NAMES), seconds])


def format_table(report: Report) -> str:
    """Return the scores as a table in percent, one row a tracker.

    `<d` is the share of visible points within d pixels of 256x256; `back` is re-detection after
    occlusions of 1-2, 3-5 and 6 or more frames.
    """
    content = report.content
    size = content["input_size"]
    frames = "native frames" if size == "native" else f"frames resized to {size}x{size}"
    videos = max(len(entry["videos"]) for entry in report.trackers.values())
    columns = ["AJ", "delta", "OA", *(f"<{t}" for t in THRESHOLDS)]
    keys = [*METRIC_NAMES[:3], *(f"pts_within_{t}" for t in THRESHOLDS)]
    columns += ["back 1-2", "back 3-5", "back 6+"]
    width = max(7, *(len(name) for name in report.trackers))
    lines = [
        f"{content['benchmark']}, {content['query_mode']} queries, {videos} videos, {frames}; "
        "scores in % on 256x256",
        f"{'tracker':<{width}}" + "".join(f"{c:>10}" for c in columns) + f"{'s/video':>10}",
    ]
    for name, entry in report.trackers.items():
        back = entry["mean"]["redetection"]
        values = [entry["mean"][k] for k in keys] + [back[k]["score"] for k in OCCLUSION_LENGTHS]
        cells = "".join(f"{_percent(v):>10}" for v in values)
        lines.append(f"{name:<{width}}{cells}{entry['seconds_per_video']:>10.2f}")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def _mean_redetection(videos: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Pool the frames of all videos: few videos have occlusions of every length."""
    result = {}
    for name in OCCLUSION_LENGTHS:
        groups = [v["redetection"][name] for v in videos if v["redetection"][name]["frames"]]
        frames = sum(g["frames"] for g in groups)
        total = sum(g["score"] * g["frames"] for g in groups)
        result[name] = {"score": total / frames if frames else float("nan"), "frames": frames}
    return result


def _none_for_nan(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {k: _none_for_nan(v) for k, v in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _nan_for_none(scores: dict[str, Any]) -> dict[str, Any]:
    return {k: float("nan") if v is None else v for k, v in scores.items()}
