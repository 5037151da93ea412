"""Where a tracker's errors come from: what optical flow, the coarse match and all of it find.

    python benchmarks/error_sources.py
    python benchmarks/error_sources.py --motion fast --tracker runs/mini_refine/best

Visible points of rendered scenes, apart for those that flow holds and those that it loses.
"Either" takes the better of flow and coarse match: what refinement could reach by choosing well.
Below are the scores if points were shown from other certainties on.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict

import numpy as np
from tqdm import tqdm

from tracker.datasets.benchmark import Sample
from tracker.datasets.rendered import ProceduralBenchmark
from tracker.devices import set_threads
from tracker.errors import UserError, exit_on_user_error
from tracker.evaluation.metrics import RASTER, THRESHOLDS, mean_metrics
from tracker.evaluation.run import EvaluationSettings, score_sample, track_sample, truth_of
from tracker.flow.chains import chain_flow
from tracker.flow.fields import gray_frames
from tracker.scenes.motion import MotionConfig
from tracker.scenes.renderer import SceneConfig
from tracker.tracking.tracker import PointTracker

MOTIONS = {
    "plain": MotionConfig(),
    "fast": MotionConfig(min_speed=0.03, max_speed=0.2, camera_speed=0.08, static=0.05),
}
FIRST_SEED = 1_600_000_000
"""Scenes that training never sees; the size of the input and `inference.shown_from` were chosen
on them."""

LIMITS = (0.05, 0.1, 0.15, 0.25, 0.4)


def flow_alone(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Follow a sample's first queries by flow: raster positions `(N, T, 2)`, and where it holds."""
    frames = sample.video.read()
    truth = truth_of(sample, "first")
    start = np.repeat(truth.queries[:, None, 1:], len(frames), axis=1)
    known = np.arange(len(frames)) == truth.queries[:, :1]
    xy, certainty = chain_flow(gray_frames(frames), start, known, RASTER)
    return xy, certainty > 0


def errors(
    sample: Sample, tracker: PointTracker, coarse: PointTracker
) -> tuple[dict[tuple[str, str], np.ndarray], list[dict[str, float]]]:
    """Take a sample's errors apart.

    Args:
        sample: the scene.
        tracker: whose errors they are.
        coarse: the same tracker without refinement.

    Returns:
        Errors `(M,)` in raster pixels of all M visible points and frames, by whether flow holds or
        has lost them and by what found them; and scores for each of `LIMITS`.
    """
    settings = EvaluationSettings()
    tracks = track_sample(tracker, sample, settings)[0]
    truth = truth_of(sample, "first")
    flow, held = flow_alone(sample)
    found = {
        "flow": flow,
        "coarse match": track_sample(coarse, sample, settings)[0].rescaled(RASTER).xy,
        "refined": tracks.rescaled(RASTER).xy,
    }
    distance = {k: np.linalg.norm(xy - truth.xy, axis=-1) for k, xy in found.items()}
    distance["either"] = np.minimum(distance["flow"], distance["coarse match"])
    visible = (np.arange(len(sample.video)) > truth.queries[:, :1]) & ~truth.occluded
    by_group = {("held", k): d[visible & held] for k, d in distance.items()}
    for found_by in ("coarse match", "refined"):  # where flow is lost, its position means nothing
        by_group["lost", found_by] = distance[found_by][visible & ~held]
    by_limit = [score_sample(tracks.shown_from(limit), sample, "first") for limit in LIMITS]
    return by_group, by_limit


@exit_on_user_error
def main() -> int:
    """Print the errors as a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracker", default="mini", help="mini, a folder or a hub id")
    parser.add_argument("--motion", choices=MOTIONS, default="plain")
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if args.scenes < 1:
        raise UserError(f"--scenes {args.scenes} must be 1 or more")
    set_threads(args.threads)
    tracker = PointTracker.from_pretrained(args.tracker)
    coarse = PointTracker.from_pretrained(args.tracker, {"inference": {"iterations": 0}})
    scene = SceneConfig(frames=24, height=360, width=640, points=64, motion=MOTIONS[args.motion])
    scenes = ProceduralBenchmark(args.motion, args.scenes, scene, FIRST_SEED)
    collected, scores = defaultdict(list), []
    for _, load in tqdm(scenes, total=args.scenes, unit="scene"):
        by_group, by_limit = errors(load(), tracker, coarse)
        for key, values in by_group.items():
            collected[key].append(values)
        scores.append(by_limit)
    pooled = {key: np.concatenate(values) for key, values in collected.items()}
    total = sum(len(values) for (_, found_by), values in pooled.items() if found_by == "refined")
    print("| flow | share | found by | " + " | ".join(f"<{t}" for t in THRESHOLDS) + " |")
    for (group, found_by), values in pooled.items():
        within = " | ".join(f"{100 * np.mean(values < t):.1f}" for t in THRESHOLDS)
        print(f"| {group} | {100 * len(values) / total:.1f} | {found_by} | {within} |")
    print("| shown from | AJ | delta_avg | OA |")
    for limit, by_scene in zip(LIMITS, zip(*scores, strict=True), strict=True):
        mean = mean_metrics(by_scene)
        names = ("average_jaccard", "average_pts_within_thresh", "occlusion_accuracy")
        print(f"| {limit} | " + " | ".join(f"{100 * mean[name]:.1f}" for name in names) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
