"""What one correction is worth: rendered scenes, and the true place where a track is most wrong.

    python benchmarks/anchors.py
    python benchmarks/anchors.py --scenes 4 --tracker runs/mini_refine/best

Points that are seen, hidden for some frames and seen again are followed from where they are first
seen. Each is then put right, alone, in the frame where its error is largest among those in which it
is seen. Errors are in 256ths of the frame's side, over the frames in which the point is seen.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from tracker.datasets.benchmark import Sample
from tracker.datasets.rendered import ProceduralBenchmark
from tracker.devices import set_threads
from tracker.errors import UserError, exit_on_user_error
from tracker.points.queries import Queries
from tracker.scenes.renderer import SceneConfig
from tracker.tracking.tracker import PointTracker

SCENE = SceneConfig(frames=48, height=128, width=128, points=48)
FIRST_SEED = 1_800_000_000
"""Scenes that neither training nor the choice of any setting has seen."""

POINTS = 16
"""Of a scene, at most."""

SEEN, HIDDEN = 12, 3
"""Frames at least in which a point is seen, and in which it is hidden between these."""

LOST = 16.0
"""A track went wrong where its largest error is at least this."""


@dataclass(frozen=True)
class Outcome:
    """One track before and after its correction.

    Attributes:
        worst: its largest error before.
        before: mean error, in 256ths of the frame's side.
        after: mean error with the one added anchor.
        seconds: CPU time of the correction.
    """

    worst: float
    before: float
    after: float
    seconds: float


def occluded_points(sample: Sample) -> np.ndarray:
    """Return the numbers of the points that are hidden between frames in which they are seen."""
    seen = ~sample.occluded
    frames = np.arange(seen.shape[1])
    first, last = seen.argmax(1), frames[-1] - seen[:, ::-1].argmax(1)
    between = (frames >= first[:, None]) & (frames <= last[:, None])
    hidden = (between & ~seen).sum(1)
    return np.flatnonzero((seen.sum(1) >= SEEN) & (hidden >= HIDDEN))[:POINTS]


def correct_each(sample: Sample, tracker: PointTracker) -> list[Outcome]:
    """Follow the occluded points of a scene, and correct each of them once."""
    chosen = occluded_points(sample)
    if not chosen.size:
        return []
    truth, seen = sample.points[chosen] * sample.video.size, ~sample.occluded[chosen]
    unit = max(sample.video.size) / 256
    start = seen.argmax(1)
    session = tracker.open(sample.video)
    queries = Queries(np.column_stack([start, truth[np.arange(len(chosen)), start]]))
    errors = np.linalg.norm(session.track(queries).xy - truth, axis=-1) / unit
    outcomes = []
    for point, shown in enumerate(seen):
        t = int(np.where(shown, errors[point], -1).argmax())
        began = time.process_time()
        corrected = session.correct(point, t, *truth[point, t]) if t != start[point] else None
        seconds = time.process_time() - began
        if corrected is None:  # it is nowhere more wrong than where it began
            continue
        after = np.linalg.norm(corrected.xy[point] - truth[point], axis=-1)[shown] / unit
        before = errors[point, shown]
        session.undo()
        outcomes.append(Outcome(before.max(), before.mean(), after.mean(), seconds))
    return outcomes


def row(name: str, outcomes: list[Outcome]) -> str:
    """Return a line of the table."""
    before, after = (np.array([getattr(o, n) for o in outcomes]) for n in ("before", "after"))
    ratio = after / before
    seconds = np.mean([o.seconds for o in outcomes])
    return (
        f"| {name} | {len(outcomes)} | {before.mean():.1f} | {after.mean():.1f} | "
        f"{np.median(before):.1f} | {np.median(after):.1f} | {np.median(ratio):.2f} | "
        f"{np.mean(ratio <= 0.5):.0%} | {seconds:.2f} |"
    )


@exit_on_user_error
def main() -> int:
    """Print the errors as a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracker", default="mini", help="mini, a folder or a hub id")
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if args.scenes < 1:
        raise UserError(f"--scenes {args.scenes} must be 1 or more")
    set_threads(args.threads)
    tracker = PointTracker.from_pretrained(args.tracker)
    outcomes: list[Outcome] = []
    for _, load in tqdm(
        ProceduralBenchmark("occluded", args.scenes, SCENE, FIRST_SEED), total=args.scenes
    ):
        outcomes += correct_each(load(), tracker)
    lost = [outcome for outcome in outcomes if outcome.worst >= LOST]
    print(
        "| tracks | | mean before | mean after | median before | median after | median of "
        "after / before | halved | CPU s |"
    )
    for name, part in ((f"error of {LOST:.0f} or more somewhere", lost), ("all", outcomes)):
        if part:
            print(row(name, part))
    return 0


if __name__ == "__main__":
    sys.exit(main())
