r"""Write a tracker as ONNX files, for programs without PyTorch.

  vjepa-tracker export-onnx mini_onnx
  vjepa-tracker export-onnx my_onnx --tracker runs/mini_refine/best --pt2

Four graphs, one for each step of following points, and tracker.json, which says what goes into
them. Frames and points may be of any number, frames of any size; the sizes that they are brought
to, the tracker's `fine_size` and `backbone.input_size`, are fixed. Optical flow and the loop stay
outside: docs/guide/onnx.md shows both. --pt2 writes the same steps for torch.export.load as well.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tracker.cli.track import add_settings_option
from tracker.errors import exit_on_user_error


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker export-onnx",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", metavar="OUT", help="folder to write")
    parser.add_argument(
        "--tracker", default="mini", metavar="NAME", help="mini (default), a folder or a hub id"
    )
    parser.add_argument("--template", metavar="FILE", help="instead of the tracker's own")
    parser.add_argument("--pt2", action="store_true", help="write programs of torch.export, too")
    add_settings_option(parser)
    return parser


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Write the tracker that the options in `argv` describe; return the exit code."""
    args = build_parser().parse_args(argv)
    from tracker.export.onnx_files import check_folder, write_onnx
    from tracker.settings import parse_changes
    from tracker.tracking.tracker import PointTracker

    folder = check_folder(args.out)
    tracker = PointTracker.from_pretrained(args.tracker, parse_changes(args.set), args.template)
    for path in write_onnx(tracker, folder, args.pt2):
        print(f"written: {path}")
    return 0
