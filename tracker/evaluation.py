"""Run trackers over a benchmark and report TAP-Vid scores.

Results are written to `metrics.json` after every video, so an interrupted run goes on where it
stopped, and a broken video costs only itself.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tracker.data.benchmark import Benchmark, Sample
from tracker.errors import UserError
from tracker.files import atomic_path, prepare_output_dir
from tracker.metrics import (
    METRIC_NAMES,
    OCCLUSION_LENGTHS,
    RASTER,
    THRESHOLDS,
    GroundTruth,
    QueryMode,
    mean_metrics,
    redetection,
    sample_queries,
    tapvid_metrics,
)
from tracker.queries import Queries
from tracker.registry import Tracker, make_tracker
from tracker.tracks import Tracks


@dataclass(frozen=True)
class EvaluationSettings:
    """How a benchmark is run.

    Attributes:
        query_mode: `first` or `strided`, as in TAP-Vid.
        input_size: `native` gives trackers the stored frames; a number N resizes them to NxN
            first, as the published protocol does with 256. Scores are on 256x256 either way.
        limit: evaluate only this many videos.
        keep_tracks: also save every track, from which overlays are drawn.
        changes: settings of learned trackers to replace; see `PointTracker.from_pretrained`.
        device: where learned trackers run; see `make_tracker`.
    """

    query_mode: QueryMode = "first"
    input_size: int | str = "native"
    limit: int | None = None
    keep_tracks: bool = False
    changes: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.query_mode not in ("first", "strided"):
            raise UserError(f"query_mode={self.query_mode} must be first or strided")
        size = self.input_size
        if size != "native" and not (isinstance(size, int) and size > 0):
            raise UserError(f"input_size={size} must be native or a number of pixels such as 256")
        limit = self.limit
        if limit is not None and not (isinstance(limit, int) and limit > 0):
            raise UserError(f"limit={limit} must be null or a number of videos, 1 or more")


def truth_of(sample: Sample, mode: QueryMode) -> GroundTruth:
    """Return the sample's queries and true tracks in pixels of the 256x256 raster."""
    return sample_queries(sample.points * RASTER, sample.occluded, mode)


def track_sample(
    tracker: Tracker, sample: Sample, settings: EvaluationSettings
) -> tuple[Tracks, float]:
    """Track a sample's queries; return tracks in its video's pixels, and the seconds it took.

    Decoding and resizing happen before the clock starts: it measures the tracker alone.
    """
    video = sample.video
    if settings.input_size != "native":
        video = video.resized((int(settings.input_size), int(settings.input_size)))
    video = type(video).from_array(video.read(), fps=video.fps, name=video.name)
    truth = truth_of(sample, settings.query_mode)
    queries = Queries(truth.queries).scaled(RASTER, video.size)
    # Annotations may touch the border from outside by a rounding error.
    inside = np.clip(queries.xy, 0, video.size)
    started = time.perf_counter()
    tracks = tracker.track(video, Queries(np.column_stack([queries.txy[:, 0], inside])))
    return tracks, time.perf_counter() - started


def score_sample(tracks: Tracks, sample: Sample, mode: QueryMode) -> dict[str, Any]:
    """Return all metrics of one video's tracks."""
    truth = truth_of(sample, mode)
    xy = tracks.rescaled(RASTER).xy
    scores: dict[str, Any] = dict(tapvid_metrics(truth, xy, ~tracks.visible, mode))
    scores["redetection"] = redetection(truth, xy, ~tracks.visible)
    return scores


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


def evaluate(
    benchmark: Benchmark,
    tracker_names: Sequence[str],
    settings: EvaluationSettings,
    output_dir: str | Path,
    on_video: Callable[[str], None] = lambda name: None,
) -> Report:
    """Score trackers on every video of a benchmark.

    Args:
        on_video: called with each video's name when it is done, for a progress bar.

    Returns:
        The report, also written to `output_dir` as `metrics.json` and `metrics.csv`.

    Raises:
        UserError: unknown tracker, no usable video, or the output folder cannot be written.
    """
    trackers = {
        name: make_tracker(name, settings.changes, settings.device) for name in tracker_names
    }
    if not trackers:
        raise UserError("trackers=[] names no tracker; give at least one, such as trackers=[lk]")
    folder = prepare_output_dir(output_dir)
    identity = {**asdict(settings), "path": str(getattr(benchmark, "path", ""))}
    weights = {name: getattr(tracker, "fingerprint", None) for name, tracker in trackers.items()}
    report = Report(folder, benchmark.name, weights, identity)
    for count, (name, load) in enumerate(benchmark):
        if settings.limit is not None and count >= settings.limit:
            break
        missing = [t for t in trackers if not report.has(t, name)]
        try:
            sample = load() if missing else None
            scores = {}
            for tracker in missing:
                tracks, seconds = track_sample(trackers[tracker], sample, settings)
                scores[tracker] = score_sample(tracks, sample, settings.query_mode)
                scores[tracker]["seconds"] = seconds
                if settings.keep_tracks:
                    save_tracks(tracks, folder, tracker, name)
            # Only together: means are compared, so they must be of the same videos.
            for tracker in missing:
                report.add(tracker, name, scores[tracker])
        except Exception as error:  # one broken video must not lose the others
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            report.fail(name, f"{kind}{error}")
        on_video(name)
    if not report.trackers:
        reasons = "; ".join(report.failed.values()) or "it is empty"
        raise UserError(f"no video of {benchmark.name} could be evaluated: {reasons}")
    report.finish()
    return report


def tracks_path(folder: Path, tracker: str, video: str) -> Path:
    """Where `keep_tracks` puts a video's tracks."""
    safe = [part.replace("/", "_").replace("@", "_") for part in (tracker, video)]
    return folder / "tracks" / safe[0] / f"{safe[1]}.npz"


def save_tracks(tracks: Tracks, folder: Path, tracker: str, video: str) -> None:
    """Write a video's tracks to where `tracks_path` says."""
    path = tracks_path(folder, tracker, video)
    prepare_output_dir(path.parent)
    tracks.save(path)


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
