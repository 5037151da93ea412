"""What measures the tracker must measure what it says."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from tiny_models import tiny_tracker

from tracker.datasets.rendered import ProceduralBenchmark
from tracker.evaluation.run import EvaluationSettings, score_sample, track_sample
from tracker.scenes.renderer import SceneConfig
from tracker.tracking.tracker import PointTracker

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


def test_error_sources_agree_with_the_evaluation() -> None:
    script = runpy.run_path(str(BENCHMARKS / "error_sources.py"))
    scene = SceneConfig(frames=8, height=64, width=96, points=24)
    ((_, load),) = ProceduralBenchmark("tiny", 1, scene)
    sample, limits = load(), script["LIMITS"]
    tracker = tiny_tracker(shown_from=limits[2])
    by_group, by_limit = script["errors"](sample, tracker, tiny_tracker(iterations=0))
    tracks, _ = track_sample(tracker, sample, EvaluationSettings())
    expected = score_sample(tracks, sample, "first")
    assert by_limit[2]["average_jaccard"] == expected["average_jaccard"]
    assert by_limit[2]["occlusion_accuracy"] == expected["occlusion_accuracy"]
    refined = np.concatenate([by_group["held", "refined"], by_group["lost", "refined"]])
    within = np.mean(refined < 16)
    assert within == pytest.approx(expected["pts_within_16"], abs=1e-6)
    assert len(by_group["held", "flow"]) > 0
    assert np.median(by_group["held", "flow"]) < 1


def test_one_correction_halves_the_error_of_lost_tracks() -> None:
    script = runpy.run_path(str(BENCHMARKS / "anchors.py"))
    scene = SceneConfig(frames=20, height=96, width=96, points=48)
    ((_, load),) = ProceduralBenchmark("tiny", 1, scene, 1_900_000_004)
    sample = load()
    made = list(script["correct_each"](sample, PointTracker.from_pretrained("mini")))
    assert len(made) <= len(script["occluded_points"](sample))
    for correction in made:
        place = correction.truth.position(0, correction.t)
        assert correction.after.position(0, correction.t) == place
        assert correction.truth.visible[0, correction.t]
    lost = [c for c in made if c.errors(c.before).max() >= script["LOST"]]
    assert len(lost) >= 3 and np.median([c.ratio for c in lost]) <= 0.5
    assert script["row"]("lost", lost).count("|") == 10
