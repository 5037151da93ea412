"""What the program does, offline: a real clip to look at, and a rendered one with a score."""

from __future__ import annotations

import dataclasses

import numpy as np

from tracker.datasets.benchmark import Sample
from tracker.evaluation.metrics import RASTER, sample_queries, tapvid_metrics
from tracker.features.checkpoints import ASSETS
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.registry import Tracker
from tracker.scenes.renderer import SceneConfig
from tracker.video.loading import load_video
from tracker.video.video import Video

REAL_CLIP = "bee"
REAL_POINTS = 100

DEMO_SEED = 8
DEMO_SCENE = SceneConfig(frames=48, height=288, width=512, points=96)


def real_clip() -> tuple[Video, Queries]:
    """Return the clip that ships, and the best corners of its first frame as queries."""
    video = load_video(ASSETS / "demo" / f"{REAL_CLIP}.mp4")
    return video, Queries.corners(video.read(0, 1)[0], REAL_POINTS)


def rendered_sample() -> Sample:
    """Render a clip with true tracks from the photographs that scikit-image ships."""
    from tracker.datasets.rendered import render_sample
    from tracker.scenes.textures import TextureBank

    return render_sample(DEMO_SEED, DEMO_SCENE, TextureBank.photographs(), "rendered")


def track_sample(
    sample: Sample, tracker: Tracker, progress: Progress | None = None
) -> tuple[Tracks, Tracks, dict[str, float]]:
    """Track the points of a sample from where each is first seen.

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
        f"its accuracy against the rendered truth (256x256 pixels): AJ "
        f"{100 * metrics['average_jaccard']:.1f}, delta_avg "
        f"{100 * metrics['average_pts_within_thresh']:.1f}, occlusion accuracy "
        f"{100 * metrics['occlusion_accuracy']:.1f}"
    )
