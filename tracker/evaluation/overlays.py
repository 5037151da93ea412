"""Videos of a benchmark's best and worst tracks beside the truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.evaluation.metrics import RASTER
from tracker.files import prepare_output_dir
from tracker.points.tracks import Tracks
from tracker.video.writing import write_video

if TYPE_CHECKING:
    from tracker.datasets.benchmark import Benchmark
    from tracker.evaluation.report import Report
from tracker.points.drawing import overlay


def write_best_and_worst(benchmark: Benchmark, report: Report, count: int) -> Iterator[Path]:
    """Write side-by-side videos of each tracker's `count` best and worst videos by AJ.

    Needs the tracks that `EvaluationSettings.keep_tracks` leaves.
    """
    from tracker.evaluation.run import tracks_path, truth_of

    chosen: dict[str, list[tuple[str, str]]] = {}
    for tracker, entry in report.trackers.items():
        by_score = sorted(
            (v["average_jaccard"] or 0.0, name) for name, v in entry["videos"].items()
        )
        kinds = {"best": by_score[-count:], "worst": by_score[:-count][:count]}
        for kind, videos in kinds.items():
            for score, name in videos:
                chosen.setdefault(name, []).append((tracker, f"{kind}-{100 * score:04.1f}"))
    folder = prepare_output_dir(report.folder / "overlays")
    # In the benchmark's order, so that it need not keep all its videos in memory.
    for name, load in benchmark:
        if name not in chosen:
            continue
        sample = load()
        truth = truth_of(sample, report.content["query_mode"])
        true_tracks = Tracks(truth.xy, ~truth.occluded, truth.queries, RASTER, sample.video.fps)
        for tracker, label in chosen[name]:
            saved = tracks_path(report.folder, tracker, name)
            path = folder / f"{saved.parent.name}-{label}-{saved.stem}.mp4"
            pictures = overlay(sample.video, Tracks.load(saved), true_tracks)
            write_video(path, pictures, sample.video.fps)
            yield path
