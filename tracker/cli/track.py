"""`vjepa-tracker track`: follow points through a video."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any

from tracker.cli.options.outputs import (
    add_output_options,
    check_folder,
    choose_kinds,
    parse_style,
)
from tracker.cli.options.prompts import add_prompt_options, check_prompt_options
from tracker.cli.options.queries import add_query_options, check_query_options
from tracker.cli.options.reporting import add_reporting_options, reporting, write_json
from tracker.cli.options.videos import add_video_options, find_videos
from tracker.cli.tracking.jobs import Job, prepare, preview_video, track_video
from tracker.errors import UserError, exit_on_user_error
from tracker.registry import Tracker, make_tracker, tracker_names

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

Several videos have a folder each, in outputs/ or in --out. All are opened before the first is
tracked; one that fails does not stop the others. Exit code 0: all were tracked; 2: one was not, or
nothing could be done.
"""

TRACK_EXAMPLES = """\
examples:
  vjepa-tracker track clip.mp4                            a 10x10 grid on the first frame
  vjepa-tracker track clip.mp4 --points 0,120,64 30,8,9   two points, from frames 0 and 30
  vjepa-tracker track clip.mp4 --points 'left eye=0,120,64'   a point with a name
  vjepa-tracker track clip.mp4 --points 0,120,64 --preview    a picture of the points, no tracking
  vjepa-tracker track 'clips/*.mp4' other.mov --out tracked   several videos, a folder each
  vjepa-tracker track clip.mp4 --quiet --json             a summary for scripts
  vjepa-tracker track clip.mp4 --mask dog.png --grid 20   a 20x20 grid, inside the mask
  vjepa-tracker track clip.mp4 --mask 00000.png:2 --corners 50    corners of object 2
  vjepa-tracker track clip.mp4 --queries points.csv       a file with the columns t,x,y
  vjepa-tracker track clip.mp4 --start 300 --queries outputs/clip/tracks.npz --queries-from 300
  vjepa-tracker track clip.mp4 --prompt 'a cat' --prompt 'a dog'  all cats and dogs in it
  vjepa-tracker track clip.mp4 --corners 200 --at 50      the 200 best corners of frame 50
  vjepa-tracker track clip.mp4 --out result.mp4           only the video that shows the points
  vjepa-tracker track clip.mp4 --save mp4,nuke,sleap      files of other programs as well
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
    add_video_options(track)
    add_query_options(track)
    add_prompt_options(track)
    add_tracker_options(track)
    add_output_options(track, "outputs/<name of the video>")
    track.add_argument(
        "--preview",
        action="store_true",
        help="draw the points on the frames that they are asked for in, and stop: writes "
        "preview.png, or the .png that --out names",
    )
    add_reporting_options(track)
    return track


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Track as the options in `argv` say; return the exit code."""
    args = build_parser().parse_args(argv)
    with reporting(args) as stdout:
        results = track_all(args)
        failed = sum("error" in result for result in results)
        if len(results) > 1:
            print(f"{len(results) - failed} of {len(results)} videos done")
        if args.json:
            write_json({"videos": results, "failed": failed}, stdout)
    return 2 if failed else 0


def track_all(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Track all videos that the options name; return a summary of each, some with an `error`.

    Raises:
        UserError: the options do not fit each other, or there is no such tracker.
    """
    style = parse_style(args.draw)
    check_query_options(args)
    check_prompt_options(args)
    choose_kinds(args.save)
    names = find_videos(args.videos)
    several = len(names) > 1
    if several and args.out:
        check_folder(args.out)
    results: dict[str, dict[str, Any]] = {}

    def fail(name: str, error: UserError) -> None:
        results[name] = {"video": name, "error": str(error)}
        named = not several or name in str(error)
        print(f"error: {error if named else f'{name}: {error}'}", file=sys.stderr)

    # Objects that words name are found with the tracker's help, points without it.
    tracker = _loaded(args) if args.prompt else None
    jobs: list[Job] = []
    for name in names:
        taken = {path.parent for job in jobs for path in job.files.paths}
        try:
            jobs.append(prepare(name, args, several, taken, tracker))
        except UserError as error:
            fail(name, error)
    if jobs and not args.preview:
        tracker = tracker or _loaded(args)
    for job in jobs:
        try:
            if tracker is None or args.preview:
                results[job.name] = preview_video(job, style)
                continue
            if several:
                print(f"{job.name}:")
            results[job.name] = track_video(job, tracker, args.tracker, style)
        except UserError as error:
            fail(job.name, error)
    return [results[name] for name in names]


def _loaded(args: argparse.Namespace) -> Tracker:
    print(f"loading {args.tracker} ...", flush=True)
    return open_tracker(args)
