"""`vjepa-tracker track`: follow points through a video."""

from __future__ import annotations

import argparse
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

import numpy as np

from tracker.errors import UserError, exit_on_user_error, log
from tracker.files import prepare_output_dir
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.registry import Progress, Tracker, make_tracker, tracker_names
from tracker.settings import parse_changes
from tracker.video.loading import load_video
from tracker.video.video import Video
from tracker.video.writing import write_video

DEFAULT_TRACKER = "vjepa"

DESCRIPTION = """\
Follow any point through any video.

A point is a query t,x,y: frame number and pixels from the frame's top left corner. Every run
leaves four files in its output folder, unless --save names some of them:

  tracks.npz   arrays: xy (N,T,2), visible (N,T), confidence (N,T), queries (N,3), size, fps
  tracks.csv   the same, a row for each point and frame
  tracks.png   a contact sheet of the video with points and trails; hollow where occluded
  tracks.mp4   the video, drawn in the same way

Tracks that are there already are not overwritten. Without --out, those of clip.mp4 go to
outputs/clip, or to outputs/clip-2, outputs/clip-3 ... where that holds tracks already.
"""

KINDS = ("npz", "csv", "png", "mp4")
"""What `--save` may name, in the order of writing."""

TRACK_EXAMPLES = """\
examples:
  vjepa-tracker track clip.mp4                            a 10x10 grid on the first frame
  vjepa-tracker track clip.mp4 --points 0,120,64 30,8,9   two points, from frames 0 and 30
  vjepa-tracker track clip.mp4 --mask dog.png --grid 20   a 20x20 grid, inside the mask
  vjepa-tracker track clip.mp4 --queries points.csv       a file with the columns t,x,y
  vjepa-tracker track clip.mp4 --corners 200 --at 50      the 200 best corners of frame 50
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
    set_threads(args.threads)
    return make_tracker(args.tracker, parse_changes(args.set), args.device)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    track = argparse.ArgumentParser(
        prog="vjepa-tracker track",
        description=DESCRIPTION,
        epilog=TRACK_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    track.add_argument(
        "video", metavar="VIDEO", help="a video file, a folder of images or a .npy array"
    )
    points = track.add_argument_group("which points (default: --grid 10)")
    points.add_argument(
        "--grid", type=int, metavar="N", help="an NxN grid over the frame (10) or the mask (16)"
    )
    points.add_argument("--points", nargs="+", metavar="t,x,y", help="points one by one")
    points.add_argument("--queries", metavar="FILE", help=".csv, .json or .npz of t,x,y")
    points.add_argument("--mask", metavar="PNG", help="keep to the white part of an image")
    points.add_argument("--corners", type=int, metavar="N", help="the N best corners (Shi-Tomasi)")
    points.add_argument(
        "--at", type=int, default=0, metavar="T", help="frame of --grid, --mask, --corners"
    )
    points.add_argument(
        "--query-frames",
        metavar="auto|T,T,...",
        help="put --grid, --mask or --corners on each of these frames instead of --at; auto takes "
        "the 4 most important frames (`vjepa-tracker analyze frames`), or frames spread evenly "
        "where the backbone cannot be loaded",
    )
    points.add_argument(
        "--backbone",
        default="mini",
        metavar="NAME",
        help="whose features --query-frames auto reads: mini, a hub id or a folder; "
        "default: %(default)s",
    )
    frames = track.add_argument_group("which frames")
    frames.add_argument("--start", type=int, default=0, metavar="T", help="first frame to read")
    frames.add_argument("--stop", type=int, metavar="T", help="frame to stop before")
    frames.add_argument("--stride", type=int, default=1, metavar="S", help="read every S-th frame")
    frames.add_argument("--fps", type=float, metavar="R", help="rate of a folder or array")
    add_tracker_options(track)
    written = track.add_argument_group("what is written")
    written.add_argument(
        "--out",
        metavar="DIR",
        help="where to write; default: outputs/<name of the video>, numbered",
    )
    written.add_argument(
        "--save",
        default=",".join(KINDS),
        metavar="KIND,...",
        help="which files to write; default: %(default)s",
    )
    written.add_argument(
        "--overwrite", action="store_true", help="replace the tracks that the folder holds"
    )
    return track


def choose_queries(args: argparse.Namespace, video: Video) -> Queries:
    """Make the queries that the options of `track` ask for.

    Raises:
        UserError: options that exclude each other, or queries that do not fit the video.
    """
    sources = {
        "--points": args.points,
        "--queries": args.queries,
        "--corners": args.corners,
        "--grid/--mask": args.grid if args.grid is not None else args.mask,
    }
    given = [name for name, value in sources.items() if value is not None]
    if args.points or args.queries:
        given += ["--query-frames"] if args.query_frames else []
        given += ["--at"] if args.at else []
    if args.query_frames and args.at:
        given = ["--at", "--query-frames"]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} exclude each other; give one")
    if not 0 <= args.at < len(video):
        raise UserError(f"--at {args.at} is not a frame of the video (0..{len(video) - 1})")
    if args.points:
        queries = Queries.parse(args.points)
    elif args.queries:
        queries = Queries.load(args.queries)
    else:
        frames = choose_query_frames(args, video)
        queries = Queries(np.concatenate([_place(args, video, t).txy for t in frames]))
    return queries.check(video.size, len(video))


def _place(args: argparse.Namespace, video: Video, t: int) -> Queries:
    """Put corners, a mask's points or a grid on frame `t`."""
    if args.corners is not None:
        return Queries.corners(video.read(t, t + 1)[0], args.corners, t)
    if args.mask:
        return Queries.from_mask(args.mask, video.size, 16 if args.grid is None else args.grid, t)
    return Queries.grid(10 if args.grid is None else args.grid, video.size, t)


def choose_query_frames(args: argparse.Namespace, video: Video) -> list[int]:
    """Return the frames that `--query-frames` or `--at` name, ascending.

    Raises:
        UserError: not frames of the video.
    """
    if args.query_frames is None:
        return [args.at]
    if args.query_frames == "auto":
        from tracker.analysis.keyframes import query_frames
        from tracker.devices import check_device

        chosen = query_frames(video, args.backbone, str(check_device(args.device)))
        if chosen.fallback:
            log.warning("query frames are spread evenly, for %s", chosen.fallback)
        print(f"query frames: {', '.join(map(str, chosen.frames))}")
        return chosen.frames
    try:
        frames = sorted({int(part) for part in args.query_frames.split(",")})
    except ValueError:
        raise UserError(
            f"--query-frames {args.query_frames!r} is neither auto nor frames such as 0,24,48"
        ) from None
    wrong = [t for t in frames if not 0 <= t < len(video)]
    if wrong:
        raise UserError(
            f"--query-frames {wrong[0]} is not a frame of the video (0..{len(video) - 1})"
        )
    return frames


def choose_kinds(names: str) -> list[str]:
    """Return the kinds of files that `--save` names.

    Raises:
        UserError: there is no such kind.
    """
    kinds = [name.strip() for name in names.split(",")]
    wrong = [kind for kind in kinds if kind not in KINDS]
    if wrong:
        raise UserError(f"--save {wrong[0]!r} is not one of {', '.join(KINDS)}")
    return kinds


def choose_folder(out: str | None, video: str, overwrite: bool) -> Path:
    """Return the folder to write to: `out`, or one named after the video.

    Raises:
        UserError: `out` holds tracks, and is not to be overwritten.
    """
    if out is not None:
        if holds_tracks(Path(out)) and not overwrite:
            raise UserError(f"{out} holds tracks; add --overwrite to replace them, or choose --out")
        return Path(out)
    first = Path("outputs") / Path(video).resolve().stem
    numbered = (first.with_name(f"{first.name}-{number}") for number in count(2))
    free = (path for path in chain([first], numbered) if overwrite or not holds_tracks(path))
    return next(free)


def holds_tracks(folder: Path) -> bool:
    """Return whether a folder holds any file that `write_outputs` writes."""
    return any((folder / f"tracks.{kind}").exists() for kind in KINDS)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Track as the options in `argv` say; return the exit code."""
    args = build_parser().parse_args(argv)
    kinds = choose_kinds(args.save)
    video = load_video(args.video, args.start, args.stop, args.stride, args.fps)
    queries = choose_queries(args, video)
    folder = choose_folder(args.out, args.video, args.overwrite)
    tracker = open_tracker(args)
    out = prepare_output_dir(folder)
    info = video.info
    width, height = video.size
    rate = f"{video.fps:.3g} fps{' (variable)' if info.variable_frame_rate else ''}"
    print(f"{video.name}: {width}x{height}, {len(video)} frames, {rate}; {len(queries)} points")
    started = time.perf_counter()
    with progress_bar("tracking") as progress:
        tracks = tracker.track(video, queries, progress)
    seconds = time.perf_counter() - started
    print(f"tracked in {seconds:.1f} s with {args.tracker}; {tracks.visible.mean():.0%} visible")
    write_outputs(out, video, tracks, kinds)
    return 0


def write_outputs(
    out: Path,
    video: Video,
    tracks: Tracks,
    kinds: Collection[str] = KINDS,
    truth: Tracks | None = None,
) -> None:
    """Write the files of a run, in place of those of an earlier one, and say where they are.

    Args:
        out: an existing folder.
        video: what was tracked.
        tracks: in its pixels.
        kinds: which of `KINDS` to write.
        truth: drawn as well, where it is known.
    """
    from tracker.points.drawing import contact_sheet, overlay, write_image

    paths = {kind: out / f"tracks.{kind}" for kind in KINDS}
    for path in paths.values():
        path.unlink(missing_ok=True)  # or files of two runs would stand side by side
    for kind in ("npz", "csv"):
        if kind in kinds:
            tracks.save(paths[kind])
    if "png" in kinds:
        write_image(paths["png"], contact_sheet(video, tracks))
    if "mp4" in kinds:
        with progress_bar("drawing", len(video)) as progress:
            drawn = count(1)
            write_video(
                paths["mp4"],
                overlay(video, tracks, truth),
                video.fps,
                on_frame=lambda: progress(next(drawn), len(video)),
            )
    for kind, path in paths.items():
        if kind in kinds:
            print(f"written: {path}")


@contextmanager
def progress_bar(label: str, total: int | None = None) -> Iterator[Progress]:
    """Show a bar on stderr that a `Progress` callback moves."""
    from tqdm import tqdm

    # The delay keeps the bar from hiding an error that comes at once.
    with tqdm(desc=label, unit=" frames", total=total, leave=False, delay=0.5) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress
