"""`vjepa-tracker track`: follow points through a video."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path

from tracker.cli.options.outputs import add_output_options, choose_files, parse_style
from tracker.cli.options.queries import add_query_options, choose_queries
from tracker.errors import exit_on_user_error
from tracker.registry import Tracker, make_tracker, tracker_names
from tracker.video.loading import load_video

DEFAULT_TRACKER = "vjepa"

DESCRIPTION = """\
Follow any point through any video.

A point is a query t,x,y: frame number and pixels from the frame's top left corner. Every run
leaves four files in its output folder, unless --save or --out names some of them:

  tracks.npz   arrays: xy (N,T,2), visible (N,T), confidence (N,T), queries (N,3), size, fps
  tracks.csv   the same as a table, a row for each point and frame
  tracks.png   a contact sheet of the video with points and trails; hollow where hidden
  tracks.mp4   the video, drawn in the same way

Tracks that are there already are not overwritten. Without --out, those of clip.mp4 go to
outputs/clip, or to outputs/clip-2, outputs/clip-3 ... where that holds tracks already.
"""

TRACK_EXAMPLES = """\
examples:
  vjepa-tracker track clip.mp4                            a 10x10 grid on the first frame
  vjepa-tracker track clip.mp4 --points 0,120,64 30,8,9   two points, from frames 0 and 30
  vjepa-tracker track clip.mp4 --mask dog.png --grid 20   a 20x20 grid, inside the mask
  vjepa-tracker track clip.mp4 --mask 00000.png:2 --corners 50    corners of object 2
  vjepa-tracker track clip.mp4 --queries points.csv       a file with the columns t,x,y
  vjepa-tracker track clip.mp4 --start 300 --queries outputs/clip/tracks.npz --queries-from 300
  vjepa-tracker track clip.mp4 --corners 200 --at 50      the 200 best corners of frame 50
  vjepa-tracker track clip.mp4 --out result.mp4           only the video that shows the points
  vjepa-tracker track clip.mp4 --draw trail=24,names      longer trails, names of points
  vjepa-tracker track clip.mp4 --set inference.block=24 --set fine_size=[384,384]
  vjepa-tracker track frames/ --fps 30 --start 100 --stop 400 --stride 2

Queries count frames within --start/--stop/--stride: t=0 is the first frame that is read.
"""


def add_tracker_options(command: argparse.ArgumentParser) -> None:
    """Add the options that say which tracker runs, and how."""
    names = ", ".join(tracker_names())
    command.add_argument(
        "--tracker",
        default=DEFAULT_TRACKER,
        metavar="NAME",
        help=f"one of {names}, or vjepa@FOLDER for one that you trained; default: %(default)s",
    )
    command.add_argument(
        "--device",
        default="auto",
        help="where vjepa runs: cpu, cuda, or auto, a GPU where there is one; default: %(default)s",
    )
    add_settings_option(command)
    add_threads_option(command)


def add_settings_option(command: argparse.ArgumentParser) -> None:
    """Add `--set`, to be read by `parse_changes`."""
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the tracker to replace, as its config.json names them: "
        "inference.block=24, fine_size=[256,256] ...; may be given several times",
    )


def add_threads_option(command: argparse._ActionsContainer) -> None:
    """Add `--threads`, to be handed to `set_threads`."""
    command.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads; default: as many as there are cores"
    )


def set_threads(threads: int | None) -> None:
    """Keep to so many CPU threads; without a number, torch is not loaded for it.

    Raises:
        UserError: fewer than one.
    """
    if threads is not None:
        from tracker import devices

        devices.set_threads(threads)


def open_tracker(args: argparse.Namespace) -> Tracker:
    """Make the tracker that the options of `add_tracker_options` ask for.

    Raises:
        UserError: no such tracker, setting or device.
    """
    from tracker.settings import parse_changes

    set_threads(args.threads)
    if args.device not in ("auto", "cpu"):  # also where the tracker, such as lk, needs none
        from tracker.devices import check_device

        check_device(args.device)
    return make_tracker(args.tracker, parse_changes(args.set), args.device)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    track = argparse.ArgumentParser(
        prog="vjepa-tracker track",
        description=DESCRIPTION,
        epilog=TRACK_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # Or argparse takes the point -1,20,20 for an option.
    track._negative_number_matcher = re.compile(r"-\d")
    track.add_argument(
        "video",
        metavar="VIDEO",
        help="a video file, a folder of images, a pattern such as shot_%%04d.png or 'shot_*.png', "
        "or a .npy array",
    )
    add_query_options(track)
    frames = track.add_argument_group("which frames")
    frames.add_argument("--start", type=int, default=0, metavar="T", help="first frame to read")
    frames.add_argument("--stop", type=int, metavar="T", help="frame to stop before")
    frames.add_argument("--stride", type=int, default=1, metavar="S", help="read every S-th frame")
    frames.add_argument("--fps", type=float, metavar="R", help="rate of a folder or array")
    frames.add_argument(
        "--deinterlace", action="store_true", help="interpolate every other line of each frame"
    )
    add_tracker_options(track)
    add_output_options(track, "outputs/<name of the video>")
    return track


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Track as the options in `argv` say; return the exit code."""
    args = build_parser().parse_args(argv)
    from tracker.analysis.cuts import warn_of_contents  # brings OpenCV, which --help does without
    from tracker.progress import progress_bar

    style = parse_style(args.draw)
    video = load_video(args.video, args.start, args.stop, args.stride, args.fps, args.deinterlace)
    default = Path("outputs") / Path(video.name).stem
    files = choose_files(args.out, args.save, args.overwrite, default)
    queries = choose_queries(args, video)
    info = video.info
    width, height = video.size
    rate = f"{video.fps:.3g} fps{' (variable)' if info.variable_frame_rate else ''}"
    print(f"{video.name}: {width}x{height}, {len(video)} frames, {rate}; {len(queries)} points")
    print(f"loading {args.tracker} ...", flush=True)
    tracker = open_tracker(args)
    with files.folders():
        with progress_bar("looking for cuts", total=len(video)) as progress:
            warn_of_contents(video, progress)
        started = time.perf_counter()
        with progress_bar("tracking") as progress:
            tracks = tracker.track(video, queries, progress)
        seconds = time.perf_counter() - started
        seen = tracks.visible.mean()
        print(f"tracked in {seconds:.1f} s with {args.tracker}; {seen:.0%} visible")
        for path in files.write(video, tracks, style):
            print(f"written: {path}")
    return 0
