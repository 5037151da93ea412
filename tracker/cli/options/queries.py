"""Which points `track` follows: its options, and the queries that they ask for."""

from __future__ import annotations

import argparse

from tracker.errors import UserError, log
from tracker.points.masks import mask_objects
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.video.video import Video


def add_query_options(track: argparse.ArgumentParser) -> None:
    """Add the options that `choose_queries` reads."""
    points = track.add_argument_group("which points (default: --grid 10)")
    points.add_argument(
        "--grid", type=int, metavar="N", help="an NxN grid over the frame (10) or each object (16)"
    )
    points.add_argument(
        "--points",
        nargs="+",
        metavar="[NAME=]t,x,y",
        help="points one by one, such as 0,120,64 or 'left eye=0,120,64'",
    )
    points.add_argument(
        "--queries",
        metavar="FILE",
        help=".csv, .json or .npz of t,x,y, the tracks of an earlier run, or labels of DeepLabCut "
        "(.csv), SLEAP (.slp), CVAT (.xml), napari (.csv), VOT (query_*.txt); rows of one name are "
        "places of one point in several frames",
    )
    points.add_argument(
        "--queries-from",
        type=int,
        metavar="T",
        help="frame of an earlier run's tracks that is frame 0 here: goes on from there",
    )
    points.add_argument(
        "--normalized",
        action="store_true",
        help="x and y of --points and --queries are shares of width and height, in 0..1",
    )
    points.add_argument(
        "--mask",
        metavar="FILE[:LABEL]",
        help="keep to the white part of an image, to the objects of a label image, or to one",
    )
    points.add_argument(
        "--corners",
        type=int,
        metavar="N",
        help="the N best corners (Shi-Tomasi), of each object with --mask",
    )
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


def choose_queries(args: argparse.Namespace, video: Video) -> Queries:
    """Make the queries that the options of `track` ask for.

    Raises:
        UserError: options that exclude each other, or queries that do not fit the video.
    """
    check_query_options(args)
    if not 0 <= args.at < len(video):
        raise UserError(f"--at {args.at} is not a frame of the video (0..{len(video) - 1})")
    if args.queries_from is not None:
        queries = Queries.from_tracks(
            Tracks.load(args.queries), args.queries_from, video.size, len(video)
        )
    elif args.points:
        queries = Queries.parse(args.points)
    elif args.queries:
        queries = Queries.load(args.queries, video.source_frames)
    else:
        frames = choose_query_frames(args, video)
        queries = Queries.concat([_named(_place(args, video, t), t, frames) for t in frames])
    if args.normalized:
        queries.check((1, 1), len(video))
        queries = queries.scaled((1, 1), video.size)
    return queries.check(video.size, len(video))


def check_query_options(args: argparse.Namespace) -> None:
    """Check that the options fit each other, whatever the video.

    Raises:
        UserError: they exclude each other.
    """
    sources = {
        "--points": args.points,
        "--queries": args.queries,
        "--corners": args.corners,
        "--grid": args.grid,
    }
    given = [name for name, value in sources.items() if value is not None]
    listed = args.points or args.queries
    if listed:
        placed = {"--mask": args.mask, "--query-frames": args.query_frames, "--at": args.at}
        given += [name for name, value in placed.items() if value]
    if args.query_frames and args.at:
        given = ["--at", "--query-frames"]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} exclude each other; give one")
    if args.normalized and (not listed or args.queries_from is not None):
        raise UserError("--normalized is for the coordinates of --points or --queries; leave it")
    if args.queries_from is not None and not args.queries:
        raise UserError("--queries-from needs the tracks of an earlier run; name them: --queries")


def _named(queries: Queries, t: int, frames: list[int]) -> Queries:
    """Return queries whose names say their frame where there are several: they are other points."""
    if queries.names is None or len(frames) == 1:
        return queries
    return Queries(queries.txy, [f"{name}@{t}" for name in queries.names])


def _place(args: argparse.Namespace, video: Video, t: int) -> Queries:
    """Put corners or a grid on frame `t`, inside each object of a mask where there is one."""
    if not args.mask:
        if args.corners is not None:
            return Queries.corners(video[t], args.corners, t)
        return Queries.grid(10 if args.grid is None else args.grid, video.size, t)
    if args.corners is None:
        return Queries.from_mask(args.mask, video.size, 16 if args.grid is None else args.grid, t)
    objects = mask_objects(args.mask, video.size)
    return Queries.concat(
        [
            Queries.corners(video[t], args.corners, t, inside).grouped(name)
            for name, inside in objects.items()
        ]
    )


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
        print(f"query frames: {', '.join(map(str, chosen.numbers))}")
        return chosen.numbers
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
