"""The scores as JSON, CSV and a table."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tracker.datasets.tapvid import TapVid
from tracker.evaluation.metrics import METRIC_NAMES
from tracker.evaluation.report import Report, format_table
from tracker.evaluation.run import EvaluationSettings, evaluate


def run(path: Path, out: Path, *trackers: str, **settings: Any) -> Report:
    return evaluate(TapVid("tiny", path), trackers, EvaluationSettings(**settings), out)


def test_csv_and_table_repeat_the_json(benchmark_file: Path, tmp_path: Path) -> None:
    report = run(benchmark_file, tmp_path, "static", "lk")
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["tracker"], r["video"]) for r in rows] == [
        (t, v) for t in ("static", "lk") for v in ("one", "two", "still", "mean")
    ]
    content = json.loads((tmp_path / "metrics.json").read_text())
    mean = content["trackers"]["lk"]["mean"]
    assert [float(rows[-1][k]) for k in METRIC_NAMES] == [mean[k] for k in METRIC_NAMES]
    title, header, *lines = format_table(report).splitlines()
    assert "tiny" in title and "first queries" in title and "native frames" in title
    assert "3 videos" in title and "256x256" in title
    assert header.split()[:5] == ["tracker", "AJ", "delta", "OA", "<1"]
    assert [line.split()[0] for line in lines] == ["static", "lk"]
    assert lines[1].split()[1] == f"{100 * mean['average_jaccard']:.1f}"


def test_what_cannot_be_judged_is_null(make_entry: Callable, tmp_path: Path) -> None:
    entry = make_entry(np.full((3, 32, 32, 3), 9, np.uint8))
    entry["points"][:] = 0.5
    entry["occluded"][:, :-1] = True  # seen in the last frame only: nothing follows the query
    path = tmp_path / "late.pkl"
    path.write_bytes(pickle.dumps({"late": entry}))
    report = run(path, tmp_path, "static")
    text = (tmp_path / "metrics.json").read_text()
    scores = json.loads(text)["trackers"]["static"]["videos"]["late"]
    assert "NaN" not in text and scores["average_jaccard"] is None
    assert "nan" not in (tmp_path / "metrics.csv").read_text()
    assert " - " in format_table(report) and "nan" not in format_table(report)


def test_both_scores_after_occlusions_are_reported(benchmark_file: Path, tmp_path: Path) -> None:
    report = run(benchmark_file, tmp_path, "static", "lk")
    content = json.loads((tmp_path / "metrics.json").read_text())["trackers"]["lk"]
    # One point of each video hides in frames 3 and 4.
    for scores in (*content["videos"].values(), content["mean"]):
        assert 0 < scores["redetection_average_jaccard"] <= 1
        assert scores["redetection_average_jaccard"] == scores["redetection_jaccard_from_1"]
        assert scores["redetection_jaccard_from_4"] is None
        assert scores["occlusion_recall"]["1_2"]["frames"] > 0
    _, header, *lines = format_table(report).splitlines()
    assert " ".join(header.split()[9:]) == "AJ_RD recall 1-2 recall 3-5 recall 6+ s/video"
    mean = content["mean"]["redetection_average_jaccard"]
    assert lines[1].split()[9] == f"{100 * mean:.1f}"
    assert "redetection_average_jaccard" in (tmp_path / "metrics.csv").read_text()
