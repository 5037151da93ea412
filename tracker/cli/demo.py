"""Track a rendered clip with known truth and say how accurate the tracks are.

  vjepa-tracker demo
  vjepa-tracker demo --tracker lk --out outputs/demo_lk

The clip is rendered, tracked, scored and drawn. The folder holds the same files as those of
`vjepa-tracker track`; what an earlier demo left there is replaced.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from tracker.cli.track import add_tracker_options, open_tracker, progress_bar, write_outputs
from tracker.errors import exit_on_user_error
from tracker.files import prepare_output_dir


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_tracker_options(parser)
    parser.add_argument("--out", default="outputs/demo", metavar="DIR", help="default: %(default)s")
    return parser


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo as the options in `argv` say; return the exit code."""
    args = build_parser().parse_args(argv)
    from tracker.evaluation.demo import demo_sample, describe_accuracy, track_demo

    tracker = open_tracker(args)
    out = prepare_output_dir(args.out)
    sample = demo_sample()
    started = time.perf_counter()
    with progress_bar("tracking") as progress:
        tracks, truth, metrics = track_demo(sample, tracker, progress)
    seconds = time.perf_counter() - started
    print(
        f"tracked {len(tracks)} points through {tracks.num_frames} frames "
        f"in {seconds:.1f} s with {args.tracker}"
    )
    print(describe_accuracy(metrics))
    write_outputs(out, sample.video, tracks, truth=truth)
    return 0
