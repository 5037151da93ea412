"""The command line: `vjepa-tracker track | demo | analyze | matching`."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence

import numpy as np

from tracker.cli.analyze import add_analyze
from tracker.cli.demo import run_demo
from tracker.cli.matching import add_matching
from tracker.cli.track import DESCRIPTION, _add_track, _add_tracker
from tracker.errors import exit_on_user_error


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_track(commands)
    demo = commands.add_parser(
        "demo",
        help="track a rendered clip with known truth and say how accurate the tracks are",
        description="Render a clip with known truth, track it, score it and draw it.",
    )
    _add_tracker(demo)
    demo.add_argument("--out", default="outputs/demo", metavar="DIR", help="default: %(default)s")
    demo.set_defaults(run=run_demo)
    add_analyze(commands)
    add_matching(commands)
    return parser


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of `vjepa-tracker`."""
    args = build_parser().parse_args(argv)
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    np.seterr(all="ignore")
    args.run(args)
