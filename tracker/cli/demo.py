"""Track a real clip to look at, and a rendered one with known truth to say how accurate that is.

  vjepa-tracker demo
  vjepa-tracker demo --tracker lk --out outputs/demo_lk

Look at bee.mp4 first: a bee, and the corners of the first frame followed through the clip. Then
rendered.mp4: what was tracked at the left, the truth at the right. Both clips come with the other
files of `vjepa-tracker track`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from tracker.cli.options.outputs import KINDS, OutputFiles, free_folder
from tracker.cli.track import add_tracker_options, open_tracker
from tracker.errors import UserError, exit_on_user_error
from tracker.registry import Tracker


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_tracker_options(parser)
    parser.add_argument("--out", metavar="DIR", help="default: outputs/demo, numbered")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what an earlier demo left there"
    )
    return parser


def choose_folder(out: str | None, overwrite: bool) -> Path:
    """Return where to write.

    Raises:
        UserError: a demo is there already, and not to be overwritten.
    """

    def taken(folder: Path) -> bool:
        return (folder / "rendered.mp4").exists() and not overwrite

    if out is None:
        return free_folder(Path("outputs/demo"), taken)
    if out == "":
        raise UserError("--out is empty; name a folder")
    if taken(Path(out)):
        raise UserError(f"{out} holds a demo; add --overwrite to replace it, or choose --out")
    return Path(out)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo as the options in `argv` say; return the exit code."""
    args = build_parser().parse_args(argv)
    folder = choose_folder(args.out, args.overwrite)
    real, rendered = (
        OutputFiles({folder / f"{name}.{kind}": kind for kind in KINDS})
        for name in ("bee", "rendered")
    )
    with real.folders():
        print(f"loading {args.tracker} ...", flush=True)
        tracker = open_tracker(args)
        track_both(tracker, args.tracker, real, rendered)
    return 0


def track_both(tracker: Tracker, name: str, real: OutputFiles, rendered: OutputFiles) -> None:
    """Track the real and the rendered clip, print how well, and write what was found."""
    from tracker.evaluation.demo import describe_accuracy, real_clip, rendered_sample, track_sample
    from tracker.progress import progress_bar

    started = time.perf_counter()
    video, queries = real_clip()
    with progress_bar("tracking the bee") as progress:
        tracks = tracker.track(video, queries, progress)
    seconds = time.perf_counter() - started
    size = f"{len(tracks)} points through {tracks.num_frames} frames"
    print(f"a real clip: {size} in {seconds:.1f} s with {name}")
    for path in real.write(video, tracks):
        print(f"written: {path}")
    started = time.perf_counter()
    sample = rendered_sample()
    with progress_bar("tracking the rendered clip") as progress:
        tracks, truth, metrics = track_sample(sample, tracker, progress)
    seconds = time.perf_counter() - started
    size = f"{len(tracks)} points through {tracks.num_frames} frames"
    print(f"a rendered clip: {size} in {seconds:.1f} s with {name}")
    print(describe_accuracy(metrics))
    for path in rendered.write(sample.video, tracks, truth=truth):
        print(f"written: {path}")
