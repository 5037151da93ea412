"""`vjepa-tracker ui`: a page in the browser to click on points, follow and correct them.

  vjepa-tracker ui                      then drop a video on the page
  vjepa-tracker ui clip.mp4             with a video that is open from the start
  vjepa-tracker ui --port 8000 --tracker vjepa@my_model

The page is for this machine alone, and for no other, unless --host or --share says so. It fetches
nothing from anywhere, and reports to nobody.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tracker.cli.track import add_tracker_options, open_tracker
from tracker.errors import UserError, exit_on_user_error

PORT = 7860


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    from tracker.web.limits import MIB, Limits

    parser = argparse.ArgumentParser(
        prog="vjepa-tracker ui",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "video", nargs="?", metavar="VIDEO", help="a video that every visitor finds open"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="NAME",
        help="address to listen at; 0.0.0.0 lets other machines in; default: %(default)s",
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help="0 takes any that is free; default: %(default)s"
    )
    parser.add_argument(
        "--share",
        action="store_true",
        help="let Gradio's servers pass the page on to the internet, for whoever has its address",
    )
    parser.add_argument(
        "--max-mb",
        type=float,
        default=Limits.upload / MIB,
        metavar="N",
        help="the largest file that may be uploaded; default: %(default)g",
    )
    parser.add_argument(
        "--max-frames",
        type=int,
        default=Limits.frames,
        metavar="N",
        help="the longest video; default: %(default)s",
    )
    add_tracker_options(parser)
    return parser


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Serve the page as the options in `argv` say, until Ctrl-C."""
    args = build_parser().parse_args(argv)
    if not 0 <= args.port < 2**16:
        raise UserError(f"--port {args.port} is not a port; give a number from 0 to {2**16 - 1}")
    if not args.max_mb > 0 or args.max_frames < 1:
        raise UserError("--max-mb and --max-frames bound what may be opened; give more than 0")
    from tracker.video.loading import load_video
    from tracker.web.limits import MIB, Limits
    from tracker.web.page import LOOPBACK, build_page, serve
    from tracker.web.visits import Visits
    from tracker.web.work import first_certainty

    limits = Limits(upload=int(args.max_mb * MIB), frames=args.max_frames)
    if args.video is not None:
        limits.check_video(load_video(args.video))
    print(f"loading {args.tracker} ...", flush=True)
    tracker = open_tracker(args)
    # So that visitors' files go then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with TemporaryDirectory(prefix="vjepa-tracker-") as folder:
        video = None if args.video is None else Path(args.video)
        visits = Visits(Path(folder), tracker, limits, video)
        is_private = args.host in LOOPBACK and not args.share
        page = build_page(visits, first_certainty(tracker), may_name_paths=is_private)
        serve(page, visits, args.host, args.port, args.share)
        print("Ctrl-C ends it", flush=True)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            return 0
        finally:
            page.close(verbose=False)
