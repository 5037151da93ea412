r"""Write a trained tracker with other settings, such as the size of the frames it will see.

  vjepa-tracker export runs/mini_refine/best --out my_tracker \
      --template template_256.safetensors --set 'backbone.input_size=[256,256]' \
      --set 'fine_size=[384,384]' --set inference.iterations=2

A head is trained on small frames because they are quick, and tracks better on larger ones. The
template belongs to one input size, so a new size needs a new one (`vjepa-tracker fit-template`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tracker.cli.track import add_settings_option
from tracker.errors import exit_on_user_error
from tracker.files import prepare_output_dir
from tracker.settings import parse_changes


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tracker", metavar="TRACKER", help="mini, a folder or a hub id")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--template", metavar="FILE", help="instead of the tracker's own")
    add_settings_option(parser)
    return parser


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Write the tracker that the options in `argv` describe; return the exit code."""
    args = build_parser().parse_args(argv)
    changes = parse_changes(args.set)
    from tracker.tracking.tracker import PointTracker

    tracker = PointTracker.from_pretrained(args.tracker, changes, args.template)
    tracker.save_pretrained(prepare_output_dir(args.out))
    print(f"written: {args.out}")
    return 0
