"""A clip with known truth, tracked and scored: what the program does, in one minute, offline."""

from __future__ import annotations

import dataclasses

import numpy as np

from tracker.datasets.benchmark import Sample
from tracker.evaluation.metrics import RASTER, sample_queries, tapvid_metrics
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.registry import Progress, Tracker
from tracker.scenes.renderer import SceneConfig

DEMO_SEED = 8
DEMO_SCENE = SceneConfig(frames=48, height=288, width=512, points=96)


def demo_sample() -> Sample:
    """Render the demo's clip from the photographs that scikit-image ships."""
    from tracker.datasets.rendered import render_sample
    from tracker.scenes.textures import TextureBank

    return render_sample(DEMO_SEED, DEMO_SCENE, TextureBank.photographs(), "demo")


def track_demo(
    sample: Sample, tracker: Tracker, progress: Progress | None = None
) -> tuple[Tracks, Tracks, dict[str, float]]:
    """Track the demo's points from where each is first seen.

    Returns:
        Predicted tracks and true tracks, both in the clip's pixels, and TAP-Vid's metrics.
    """
    video = sample.video
    truth = sample_queries(sample.points * video.size, sample.occluded, "first")
    tracks = tracker.track(video, Queries(truth.queries), progress)
    true_tracks = Tracks(truth.xy, ~truth.occluded, truth.queries, video.size, video.fps)
    raster = np.divide(RASTER, video.size)
    scaled = dataclasses.replace(truth, xy=truth.xy * raster)
    metrics = tapvid_metrics(scaled, tracks.xy * raster, ~tracks.visible, "first")
    return tracks, true_tracks, metrics


def describe_accuracy(metrics: dict[str, float]) -> str:
    """One line for people."""
    return (
        f"accuracy against the rendered truth (256x256 pixels): AJ "
        f"{100 * metrics['average_jaccard']:.1f}, delta_avg "
        f"{100 * metrics['average_pts_within_thresh']:.1f}, occlusion accuracy "
        f"{100 * metrics['occlusion_accuracy']:.1f}"
    )
