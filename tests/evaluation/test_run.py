"""Benchmark runs: scores, interruption, broken videos."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracker import registry
from tracker.baselines import StaticTracker
from tracker.datasets.benchmark import Sample
from tracker.datasets.tapvid import TapVid
from tracker.errors import UserError
from tracker.evaluation.metrics import METRIC_NAMES
from tracker.evaluation.report import Report, format_table
from tracker.evaluation.run import EvaluationSettings, evaluate
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.video.video import Video


class Spy(StaticTracker):
    """Notes the videos that it is given; stops the run at the one called `stop_at`."""

    seen: list[tuple[str, tuple[int, int]]]
    stop_at: str | None
    error: type[BaseException]

    def track(self, video: Video, queries: Queries, progress: Any = None) -> Tracks:
        if video.name == Spy.stop_at:
            raise Spy.error(f"cannot track {video.name}")
        Spy.seen.append((video.name, video.size))
        return super().track(video, queries, progress)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> type[Spy]:
    """The tracker `spy`."""
    monkeypatch.setitem(registry._FACTORIES, "spy", f"{__name__}:Spy")
    Spy.seen, Spy.stop_at, Spy.error = [], None, KeyboardInterrupt
    return Spy


def run(path: Path, out: Path, *trackers: str, **settings: Any) -> Report:
    return evaluate(TapVid("tiny", path), trackers, EvaluationSettings(**settings), out)


@pytest.mark.parametrize("mode", ["first", "strided"])
def test_metrics_json_has_the_agreed_shape(benchmark_file: Path, tmp_path: Path, mode: str) -> None:
    report = run(benchmark_file, tmp_path / "out", "static", "lk", query_mode=mode)
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert content["benchmark"] == "tiny" and content["query_mode"] == mode
    assert content["input_size"] == "native" and content["complete"] is True
    assert content["failed"] == {} == report.failed
    assert set(content["trackers"]) == {"static", "lk"}
    for entry in content["trackers"].values():
        assert set(entry) == {"mean", "videos", "seconds_per_video"}
        assert set(entry["videos"]) == {"one", "two", "still"}
        assert entry["seconds_per_video"] >= 0
        for scores in (entry["mean"], *entry["videos"].values()):
            assert set(METRIC_NAMES) <= set(scores)
            assert all(scores[k] is None or 0 <= scores[k] <= 1 for k in METRIC_NAMES)
        for name in METRIC_NAMES:
            values = [v[name] for v in entry["videos"].values()]
            assert entry["mean"][name] == pytest.approx(np.mean(values))
    # The frames move one pixel per frame of 64x48, which static does not follow.
    lk, static = (content["trackers"][t]["mean"]["average_jaccard"] for t in ("lk", "static"))
    assert lk > static + 0.2
    still = content["trackers"]["static"]["videos"]["still"]
    assert still["average_pts_within_thresh"] == 1


def test_input_size_resizes_what_trackers_see(
    benchmark_file: Path, tmp_path: Path, spy: type[Spy]
) -> None:
    report = run(benchmark_file, tmp_path, "spy", input_size=256, limit=2)
    assert spy.seen == [("one", (256, 256)), ("two", (256, 256))]
    assert "frames resized to 256x256" in format_table(report)
    native = run(benchmark_file, tmp_path / "native", "static", limit=2)
    # Where a tracker does not look at the frames, the scores do not depend on their size.
    means = [r.trackers[t]["mean"] for r, t in ((report, "spy"), (native, "static"))]
    for name in METRIC_NAMES:
        assert means[0][name] == pytest.approx(means[1][name])


def test_an_interrupted_run_resumes(benchmark_file: Path, tmp_path: Path, spy: type[Spy]) -> None:
    spy.stop_at = "two"
    with pytest.raises(KeyboardInterrupt):
        run(benchmark_file, tmp_path, "static", "spy")
    assert json.loads((tmp_path / "metrics.json").read_text())["complete"] is False
    spy.stop_at = None
    report = run(benchmark_file, tmp_path, "static", "spy")
    assert [name for name, _ in spy.seen] == ["one", "two", "still"]  # `one` ran once
    fresh = run(benchmark_file, tmp_path / "fresh", "static")
    for name in METRIC_NAMES:
        expected = fresh.trackers["static"]["mean"][name]
        assert report.trackers["spy"]["mean"][name] == pytest.approx(expected)
    assert set(report.trackers["static"]["videos"]) == {"one", "two", "still"}


def test_a_complete_run_starts_over(benchmark_file: Path, tmp_path: Path, spy: type[Spy]) -> None:
    run(benchmark_file, tmp_path, "spy")
    run(benchmark_file, tmp_path, "spy")
    assert len(spy.seen) == 6


@pytest.mark.parametrize("change", [{"query_mode": "strided"}, {"input_size": 128}, {"limit": 2}])
def test_other_settings_do_not_resume(
    benchmark_file: Path, tmp_path: Path, spy: type[Spy], change: dict
) -> None:
    spy.stop_at = "two"
    with pytest.raises(KeyboardInterrupt):
        run(benchmark_file, tmp_path, "spy")
    spy.stop_at = None
    run(benchmark_file, tmp_path, "spy", **change)
    assert [name for name, _ in spy.seen].count("one") == 2


def test_other_weights_of_the_same_name_do_not_resume(
    benchmark_file: Path, tmp_path: Path, spy: type[Spy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spy, "fingerprint", "before", raising=False)
    spy.stop_at = "two"
    with pytest.raises(KeyboardInterrupt):
        run(benchmark_file, tmp_path, "spy")
    spy.stop_at = None
    monkeypatch.setattr(spy, "fingerprint", "after")
    run(benchmark_file, tmp_path, "spy")
    assert [name for name, _ in spy.seen].count("one") == 2


def test_resuming_with_other_trackers_leaves_no_half_column(
    benchmark_file: Path, tmp_path: Path, spy: type[Spy]
) -> None:
    spy.stop_at = "two"
    with pytest.raises(KeyboardInterrupt):
        run(benchmark_file, tmp_path, "lk", "spy")
    report = run(benchmark_file, tmp_path, "lk")
    assert set(report.trackers) == {"lk"}
    assert set(report.trackers["lk"]["videos"]) == {"one", "two", "still"}


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}"])
def test_a_damaged_report_starts_over(benchmark_file: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics.json").write_text(text)
    assert len(run(benchmark_file, tmp_path, "static").trackers["static"]["videos"]) == 3


@pytest.mark.parametrize("error", [UserError, RuntimeError])
def test_a_video_that_fails_costs_only_itself(
    benchmark_file: Path,
    tmp_path: Path,
    spy: type[Spy],
    error: type[Exception],
    caplog: pytest.LogCaptureFixture,
) -> None:
    spy.stop_at, spy.error = "two", error
    with caplog.at_level("WARNING"):
        report = run(benchmark_file, tmp_path, "static", "spy")
    # For all trackers, or their means would be of different videos.
    assert set(report.trackers["spy"]["videos"]) == {"one", "still"}
    assert set(report.trackers["static"]["videos"]) == {"one", "still"}
    content = json.loads((tmp_path / "metrics.json").read_text())
    failed = content["failed"]["two"]
    assert list(content["failed"]) == ["two"] and "cannot track two" in failed["reason"]
    assert report.failed == {"two": failed["reason"]} and "\n" not in failed["reason"]
    if error is UserError:
        assert failed["traceback"] is None and "Traceback" not in caplog.text
    else:  # a bug: where it is must not be lost
        assert failed["reason"] == "RuntimeError: cannot track two"
        for text in (failed["traceback"], caplog.text):
            assert text.rstrip().endswith("RuntimeError: cannot track two") and "in track" in text


def test_scores_of_an_earlier_version_do_not_resume(
    benchmark_file: Path, tmp_path: Path, spy: type[Spy]
) -> None:
    spy.stop_at = "two"
    with pytest.raises(KeyboardInterrupt):
        run(benchmark_file, tmp_path, "spy")
    content = json.loads((tmp_path / "metrics.json").read_text())
    del content["trackers"]["spy"]["videos"]["one"]["redetection_average_jaccard"]
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    spy.stop_at = None
    run(benchmark_file, tmp_path, "spy")
    assert [name for name, _ in spy.seen].count("one") == 2


def test_a_run_without_any_score_is_an_error_and_leaves_nothing(
    benchmark_file: Path, tmp_path: Path
) -> None:
    benchmark_file.write_bytes(pickle.dumps({"a": {}, "b": {}}))
    with pytest.raises(UserError, match="video a lacks video"):
        run(benchmark_file, tmp_path / "out", "static")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"query_mode": "last"},
        {"input_size": "big"},
        {"input_size": 0},
        {"limit": 0},
        {"limit": "many"},
    ],
)
def test_wrong_settings_are_refused(wrong: dict) -> None:
    (name,) = wrong
    with pytest.raises(UserError, match=name):
        EvaluationSettings(**wrong)


def test_no_tracker_or_an_unknown_one(benchmark_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names no tracker"):
        run(benchmark_file, tmp_path / "out")
    with pytest.raises(UserError, match="'nope'"):
        run(benchmark_file, tmp_path / "out", "static", "nope")
    assert not (tmp_path / "out").exists()


def test_videos_are_loaded_one_at_a_time(benchmark_file: Path, tmp_path: Path) -> None:
    class Counting(TapVid):
        loaded = 0

        def __iter__(self) -> Iterator[tuple[str, Callable[[], Sample]]]:
            for name, load in super().__iter__():

                def counted(load: Callable[[], Sample] = load) -> Sample:
                    Counting.loaded += 1
                    return load()

                yield name, counted

    benchmark = Counting("tiny", benchmark_file)
    done = []
    evaluate(
        benchmark,
        ["static"],
        EvaluationSettings(),
        tmp_path,
        on_video=lambda name: done.append((name, Counting.loaded)),
    )
    assert done == [("one", 1), ("two", 2), ("still", 3)]
