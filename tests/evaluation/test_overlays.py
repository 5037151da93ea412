"""Videos of the best and worst tracks."""

from __future__ import annotations

from pathlib import Path

from tracker.datasets.tapvid import TapVid
from tracker.evaluation.overlays import write_best_and_worst
from tracker.evaluation.run import EvaluationSettings, evaluate, tracks_path
from tracker.points.tracks import Tracks
from tracker.video.loading import load_video


def test_overlays_of_best_and_worst(benchmark_file: Path, tmp_path: Path) -> None:
    benchmark = TapVid("tiny", benchmark_file)
    settings = EvaluationSettings(keep_tracks=True)
    report = evaluate(benchmark, ["static", "lk"], settings, tmp_path)
    saved = Tracks.load(tracks_path(tmp_path, "lk", "one"))
    assert saved.size == (64, 48) and saved.num_frames == 10
    paths = list(write_best_and_worst(benchmark, report, 1))
    assert sorted(paths) == sorted((tmp_path / "overlays").iterdir()) and len(paths) == 4
    for tracker in ("static", "lk"):
        videos = report.trackers[tracker]["videos"]
        scores = {name: v["average_jaccard"] for name, v in videos.items()}
        for kind, choose in (("best", max), ("worst", min)):
            (path,) = (p for p in paths if p.name.startswith(f"{tracker}-{kind}-"))
            name = path.stem.rsplit("-", 1)[1]
            assert scores[name] == choose(scores.values())
            assert len(load_video(path)) == len(dict(benchmark)[name]().video)


def test_overlays_of_few_videos_are_drawn_once(benchmark_file: Path, tmp_path: Path) -> None:
    benchmark = TapVid("tiny", benchmark_file)
    settings = EvaluationSettings(keep_tracks=True, limit=1)
    report = evaluate(benchmark, ["static"], settings, tmp_path)
    assert [p.name[:11] for p in write_best_and_worst(benchmark, report, 5)] == ["static-best"]
