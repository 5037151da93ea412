"""What one correction is worth: rendered scenes, and the true place where a track is most wrong.

    python benchmarks/anchors.py
    python benchmarks/anchors.py --scenes 4 --tracker runs/mini_refine/best
    python benchmarks/anchors.py --picture docs/correct.jpg

Points that are seen, hidden for some frames and seen again are followed from where they are first
seen. Each is then put right, alone, in the frame where its error is largest among those in which it
is seen. Errors are in 256ths of the frame's side, over the frames in which the point is seen.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from tracker.datasets.benchmark import Sample
from tracker.datasets.rendered import ProceduralBenchmark
from tracker.devices import set_threads
from tracker.errors import UserError, exit_on_user_error
from tracker.evaluation.demo import rendered_sample
from tracker.extras import needs
from tracker.points.tracks import Tracks
from tracker.scenes.renderer import SceneConfig
from tracker.tracking.tracker import PointTracker

SCENE = SceneConfig(frames=48, height=128, width=128, points=48)
FIRST_SEED = 1_800_000_000
"""Scenes that neither training nor the choice of any setting has seen."""

POINTS = 16
"""Of a scene, at most."""

SEEN, HIDDEN = 12, 3
"""Frames at least in which a point is seen, and in which it is hidden between these."""

LOST = 8.0
"""A track went wrong where its largest error is at least this."""

MIDDLE = 0.48
"""How far from the middle of the frame, as a share of it, a point that is drawn may go."""


@dataclass(frozen=True)
class Correction:
    """A track before and after it was put right in one frame.

    Attributes:
        truth: where the point truly is.
        before: its track.
        after: with one more anchor.
        t: frame of that anchor.
        seconds: CPU time of the correction.
    """

    truth: Tracks
    before: Tracks
    after: Tracks
    t: int
    seconds: float

    def errors(self, tracks: Tracks) -> np.ndarray:
        """Return errors in 256ths of the frame's side, of the frames in which the point is seen."""
        far = np.linalg.norm(tracks.xy - self.truth.xy, axis=-1)
        return far[self.truth.visible] * 256 / max(tracks.size)

    @property
    def ratio(self) -> float:
        """Mean error after the correction, as a share of that before."""
        return float(self.errors(self.after).mean() / self.errors(self.before).mean())


def occluded_points(sample: Sample) -> np.ndarray:
    """Return the numbers of the points that are hidden between frames in which they are seen."""
    seen = ~sample.occluded
    frames = np.arange(seen.shape[1])
    first, last = seen.argmax(1), frames[-1] - seen[:, ::-1].argmax(1)
    between = (frames >= first[:, None]) & (frames <= last[:, None])
    hidden = (between & ~seen).sum(1)
    return np.flatnonzero((seen.sum(1) >= SEEN) & (hidden >= HIDDEN))[:POINTS]


def correct_each(sample: Sample, tracker: PointTracker) -> Iterator[Correction]:
    """Follow the occluded points of a scene, and yield a correction of each, made alone."""
    chosen = occluded_points(sample)
    if not chosen.size:
        return
    entry = {"points": sample.points[chosen], "occluded": sample.occluded[chosen]}
    truth = Tracks.from_tapvid(entry, sample.video.size)
    session = tracker.open(sample.video)
    tracks = session.track(truth.queries)
    errors = np.linalg.norm(tracks.xy - truth.xy, axis=-1)
    worst = np.where(truth.visible, errors, -1).argmax(1)
    for point, t in enumerate(worst.tolist()):
        if t == truth.queries[point, 0]:  # it is nowhere more wrong than where it began
            continue
        began = time.process_time()
        corrected = session.correct(point, t, *truth.position(point, t))
        seconds = time.process_time() - began
        yield Correction(truth[point], tracks[point], corrected[point], t, seconds)
        session.undo()


def row(name: str, corrections: list[Correction]) -> str:
    """Return a line of the table."""
    before, after = (
        np.array([c.errors(getattr(c, which)).mean() for c in corrections])
        for which in ("before", "after")
    )
    halved = np.mean([c.ratio <= 0.5 for c in corrections])
    seconds = np.mean([c.seconds for c in corrections])
    return (
        f"| {name} | {len(corrections)} | {before.mean():.1f} | {after.mean():.1f} | "
        f"{np.median(before):.1f} | {np.median(after):.1f} | "
        f"{np.median([c.ratio for c in corrections]):.2f} | {halved:.0%} | {seconds:.2f} |"
    )


def draw(path: str, tracker: PointTracker) -> None:
    """Draw the track of the demonstration's rendered clip that one correction helps most."""
    with needs("analysis"):
        from matplotlib.figure import Figure
    sample = rendered_sample()
    width, height = sample.video.size

    def gain(made: Correction) -> float:
        inside = np.abs(made.truth.xy / (width, height) - 0.5).max() < MIDDLE
        return inside * float((made.errors(made.before) - made.errors(made.after)).sum())

    best = max(correct_each(sample, tracker), key=gain)
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    picture, chart = figure.subplots(1, 2, width_ratios=(1.2, 1))
    picture.imshow(sample.video[best.t], extent=(0, width, height, 0))
    picture.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    lines = (("truth", best.truth, "white"), ("before", best.before, "#e6194b"))
    for name, tracks, colour in (*lines, ("after", best.after, "#3cb44b")):
        picture.plot(*tracks.xy[0].T, color=colour, lw=1.5, label=name)
        if tracks is not best.truth:
            far = np.linalg.norm(tracks.xy - best.truth.xy, axis=-1)[0]
            chart.plot(far, color=colour, label=name)
    known = [int(best.truth.queries[0, 0]), best.t]
    picture.plot(*best.truth.xy[0, known].T, "o", mec="black", mfc="white", label="known places")
    chart.plot(known, [0, 0], "o", mec="black", mfc="white", clip_on=False)
    hidden = ~best.truth.visible[0]
    frames, upright = np.arange(len(hidden)), chart.get_xaxis_transform()
    shade = {"color": "0.85", "step": "mid", "label": "hidden", "transform": upright}
    chart.fill_between(frames, 0, 1, hidden, **shade)
    chart.set(xlabel="frame", ylabel="error in pixels", ylim=(0, None), xlim=(0, len(hidden) - 1))
    picture.legend(loc="lower left", facecolor="0.4", labelcolor="white")
    chart.legend()
    figure.savefig(path, dpi=110)


@exit_on_user_error
def main() -> int:
    """Print the errors as a table, or draw a picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracker", default="mini", help="mini, a folder or a hub id")
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--picture", metavar="FILE", help="draw the demonstration's clip instead of measuring"
    )
    args = parser.parse_args()
    if args.scenes < 1:
        raise UserError(f"--scenes {args.scenes} must be 1 or more")
    set_threads(args.threads)
    tracker = PointTracker.from_pretrained(args.tracker)
    if args.picture:
        draw(args.picture, tracker)
        return 0
    scenes = ProceduralBenchmark("occluded", args.scenes, SCENE, FIRST_SEED)
    made: list[Correction] = []
    for _, load in tqdm(scenes, total=args.scenes, unit="scene"):
        made += correct_each(load(), tracker)
    lost = [correction for correction in made if correction.errors(correction.before).max() >= LOST]
    print(
        "| tracks | | mean before | mean after | median before | median after | median of "
        "after / before | halved | CPU s |\n| --- |" + " ---: |" * 8
    )
    for name, part in ((f"error of {LOST:.0f} or more somewhere", lost), ("all", made)):
        if part:
            print(row(name, part))
    return 0


if __name__ == "__main__":
    sys.exit(main())
