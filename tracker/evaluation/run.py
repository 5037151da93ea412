"""Run trackers over a benchmark and report TAP-Vid scores.

Results are written to `metrics.json` after every video, so an interrupted run goes on where it
stopped, and a broken video costs only itself.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tracker.datasets.benchmark import Benchmark, Sample
from tracker.errors import UserError, log
from tracker.evaluation.errors_by_speed import count_errors, ideal_scores
from tracker.evaluation.metrics import (
    RASTER,
    GroundTruth,
    QueryMode,
    sample_queries,
    tapvid_metrics,
)
from tracker.evaluation.redetection import occlusion_recall, redetection_jaccard
from tracker.evaluation.report import Report
from tracker.files import prepare_output_dir, results_folder
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.registry import Tracker, make_tracker


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
    """Return all metrics of one video's tracks.

    `METRIC_NAMES`, `REDETECTION_NAMES`, recall, `IDEAL_NAMES`, and where the errors are.
    """
    truth = truth_of(sample, mode)
    xy = tracks.rescaled(RASTER).xy
    occluded = ~tracks.visible
    return {
        **tapvid_metrics(truth, xy, occluded, mode),
        **redetection_jaccard(truth, xy, occluded),
        "occlusion_recall": occlusion_recall(truth, xy, occluded),
        "errors_by_speed": count_errors(truth, xy, occluded, mode),
        **ideal_scores(truth, xy, occluded, mode),
    }


def evaluate(
    benchmark: Benchmark,
    tracker_names: Sequence[str],
    settings: EvaluationSettings,
    output_dir: str | Path,
    on_video: Callable[[str], None] = lambda name: None,
) -> Report:
    """Score trackers on every video of a benchmark.

    Args:
        benchmark: the videos.
        tracker_names: as `make_tracker` takes them.
        settings: how to run.
        output_dir: where results go.
        on_video: called with each video's name when it is done, for a progress bar.

    Returns:
        The report, also written to `output_dir` as `metrics.json`, `metrics.csv` and `errors.csv`.

    Raises:
        UserError: unknown tracker, no usable video, or the output folder cannot be written.
    """
    trackers = {
        name: make_tracker(name, settings.changes, settings.device) for name in tracker_names
    }
    if not trackers:
        raise UserError("trackers=[] names no tracker; give at least one, such as trackers=[lk]")
    with results_folder(output_dir) as folder:
        return _evaluate(benchmark, trackers, settings, folder, on_video)


def _evaluate(
    benchmark: Benchmark,
    trackers: dict[str, Tracker],
    settings: EvaluationSettings,
    folder: Path,
    on_video: Callable[[str], None],
) -> Report:
    """Score trackers; go on with the report that the folder holds."""
    identity = {**asdict(settings), "path": str(getattr(benchmark, "path", ""))}
    weights = {name: getattr(tracker, "fingerprint", None) for name, tracker in trackers.items()}
    report = Report(folder, benchmark.name, weights, identity)
    for count, (name, load) in enumerate(benchmark):
        if settings.limit is not None and count >= settings.limit:
            break
        missing = {t: tracker for t, tracker in trackers.items() if not report.has(t, name)}
        if missing:
            _evaluate_video(name, load, missing, settings, report)
        on_video(name)
    if not report.trackers:
        reasons = "; ".join(report.failed.values()) or "it is empty"
        raise UserError(f"no video of {benchmark.name} could be evaluated: {reasons}")
    report.finish()
    return report


def _evaluate_video(
    name: str,
    load: Callable[[], Sample],
    trackers: dict[str, Tracker],
    settings: EvaluationSettings,
    report: Report,
) -> None:
    """Score trackers on one video; note why where that fails, so that others are not lost."""
    scores = {}
    try:
        sample = load()
        for key, tracker in trackers.items():
            tracks, seconds = track_sample(tracker, sample, settings)
            scores[key] = score_sample(tracks, sample, settings.query_mode)
            scores[key]["seconds"] = seconds
            if settings.keep_tracks:
                save_tracks(tracks, report.folder, key, name)
    except UserError as error:
        log.warning("skipped %s: %s", name, error)
        report.fail(name, str(error))
        return
    except Exception as error:  # a bug: whoever mends it needs more than a line
        message = f"{type(error).__name__}: {error}"
        log.warning("skipped %s: %s", name, message, exc_info=True)
        report.fail(name, message, traceback.format_exc())
        return
    # Only together: means are compared, so they must be of the same videos.
    for key in trackers:
        report.add(key, name, scores[key])


def tracks_path(folder: Path, tracker: str, video: str) -> Path:
    """Return where `keep_tracks` puts a video's tracks."""
    safe = [part.replace("/", "_").replace("@", "_") for part in (tracker, video)]
    return folder / "tracks" / safe[0] / f"{safe[1]}.npz"


def save_tracks(tracks: Tracks, folder: Path, tracker: str, video: str) -> None:
    """Write a video's tracks to where `tracks_path` says."""
    path = tracks_path(folder, tracker, video)
    prepare_output_dir(path.parent)
    tracks.save(path)
