"""`vjepa-tracker track-many`: follow points through more videos than an afternoon holds."""

from __future__ import annotations

import argparse
import io
import os
import re
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.cli.options.queries import add_query_options, check_query_options, choose_queries
from tracker.cli.options.reporting import add_reporting_options, reporting, write_json
from tracker.cli.options.videos import add_frame_options
from tracker.cli.track import add_tracker_options
from tracker.errors import UserError, exit_on_user_error

if TYPE_CHECKING:
    from tracker.bulk.engine import Engine
    from tracker.bulk.run import Run, Summary
    from tracker.bulk.worker import BulkSettings
    from tracker.points.queries import Queries
    from tracker.video.video import Video

PICTURES = ("png", "mp4")

DESCRIPTION = """\
Follow points through many videos, from wherever they are kept, into sharded Parquet.

A source is a folder (with all below it), a pattern, a video, or a manifest: a .csv or .parquet with
the column uri and, where they are wanted, id, start, stop and queries. Sources and --out are paths
or addresses: s3://, gs://, hf://, https:// ...

A video is finished when its rows are written, whole. The same command again goes on where the last
one stopped, killed or not; what is finished under the same settings and weights is skipped. A video
that cannot be tracked becomes one row with its error. Exit code 0: every video has its rows; 2:
nothing could be done, or rows could not be written.
"""

EXAMPLES = """\
examples:
  vjepa-tracker track-many clips/ --out tracked                  a 10x10 grid on each first frame
  vjepa-tracker track-many clips/ --out tracked --workers 8      eight processes, by Ray
  vjepa-tracker track-many 'clips/*.mp4' --queries 'points/{name}.csv' --out tracked
  vjepa-tracker track-many videos.csv --out s3://bucket/tracks   a manifest, an object store
  vjepa-tracker track-many s3://bucket/clips --out s3://bucket/tracks --ray auto --gpus 0.5

The rows are in PLACE/shards; docs/guide/many.md has their columns.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    many = argparse.ArgumentParser(
        prog="vjepa-tracker track-many",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # Or argparse takes the point -1,20,20 for an option.
    many._negative_number_matcher = re.compile(r"-\d")
    many.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="folders, patterns, videos, manifests"
    )
    add_frame_options(many)
    add_query_options(many)
    add_tracker_options(many)
    written = many.add_argument_group("what is written")
    written.add_argument(
        "--out", required=True, metavar="PLACE", help="a folder, at a path or an address"
    )
    written.add_argument(
        "--rows",
        choices=("points", "videos"),
        help="what a row of the Parquet files is; default: points",
    )
    written.add_argument(
        "--save",
        default="",
        metavar="KIND,...",
        help="pictures as well: png for a contact sheet of each video, mp4 for a video of points",
    )
    _add_engine_options(many.add_argument_group("who does it"))
    add_reporting_options(many)
    return many


def _add_engine_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes, each with a tracker of its own; default: 1, which does without Ray, and "
        "with --ray as many as the cluster has room for",
    )
    group.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="a Ray cluster to join, from one of its machines: auto, or HOST:PORT",
    )
    group.add_argument(
        "--gpus",
        type=float,
        metavar="X",
        help="GPUs of each worker; 0.5 lets two share one; default: those of this machine are "
        "shared among its workers, and those of a cluster left alone",
    )
    group.add_argument(
        "--retries",
        type=int,
        default=2,
        metavar="N",
        help="how often a video is tried again after what may pass, such as a network's error; "
        "default: %(default)s",
    )
    group.add_argument(
        "--retry-errors", action="store_true", help="try those again that have an error"
    )
    group.add_argument(
        "--largest",
        type=float,
        default=4.0,
        metavar="GB",
        help="larger videos are not copied from an address; default: %(default)g",
    )


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Track as the options in `argv` say; return the exit code."""
    args = build_parser().parse_args(argv)
    with reporting(args) as stdout:
        run, summary = track_all(args)
        if args.json:
            told = {"place": args.out, **vars(run.identity), **asdict(summary)}
            write_json(told, stdout)
    return 0


def track_all(args: argparse.Namespace) -> tuple[Run, Summary]:
    """Track what the options name, with a bar.

    Raises:
        UserError: there is nothing to track, or rows cannot be read or written.
    """
    check_query_options(args)
    engine, settings = make_engine(args), make_settings(args)
    from tracker.bulk.manifest import find_videos
    from tracker.bulk.run import Run
    from tracker.bulk.sink import Sink
    from tracker.progress import Bar

    rows = find_videos(args.sources, args.start, args.stop, args.queries)
    sink = Sink.open(args.out, args.rows, len(rows))
    with engine.running() as dashboard:
        run = Run(rows, settings, sink, engine, args.retry_errors)
        before = run.summary.finished_before
        print(f"{len(rows)} videos, {before} finished before; {len(run.left)} to go", flush=True)
        if dashboard:
            print(f"dashboard: {dashboard}", flush=True)
        with Bar(total=len(run.left), desc="tracking", unit=" videos", leave=False) as bar:
            for _ in run.track():
                bar.set_postfix(run.summary.rates, refresh=False)
                bar.update()
        summary = run.finish()
    told = " ".join(f"{value} {name}" for name, value in summary.rates.items())
    print(f"{summary.tracked} videos tracked in {summary.seconds:.1f} s, {told}")
    print(f"written: {args.out}")
    return run, summary


def make_settings(args: argparse.Namespace) -> BulkSettings:
    """Return what is done with every video.

    Raises:
        UserError: an option's value is none.
    """
    from tracker.bulk.worker import BulkSettings
    from tracker.settings import parse_changes

    kinds = [kind.strip() for kind in args.save.split(",") if kind.strip()]
    if wrong := [kind for kind in kinds if kind not in PICTURES]:
        raise UserError(f"--save {wrong[0]!r} is not one of {', '.join(PICTURES)}")
    if args.retries < 0 or not args.largest > 0:
        raise UserError("--retries counts from 0, and --largest is more than 0 GB")
    chosen = {name: getattr(args, name) for name in query_options()}
    return BulkSettings(
        choose=QueryChoice(args),
        # A row's own file is part of its key.
        queries=chosen | {"queries": None},
        tracker=args.tracker,
        changes=parse_changes(args.set),
        stride=args.stride,
        fps=args.fps,
        deinterlace=args.deinterlace,
        device=args.device,
        threads=worker_threads(args),
        retries=args.retries,
        largest=int(args.largest * 1e9),
        previews="png" in kinds,
        drawn="mp4" in kinds,
    )


def make_engine(args: argparse.Namespace) -> Engine:
    """Return who does it.

    Raises:
        UserError: an option's value is none.
    """
    from tracker.bulk.engine import Engine

    workers = args.workers or (None if args.ray and args.workers is None else 1)
    if args.workers is not None and args.workers < 1:
        raise UserError(f"--workers {args.workers} cannot work; give 1 or more")
    gpus = args.gpus
    if gpus is None:
        gpus = 0.0
        if workers != 1 and args.ray is None and args.device != "cpu":
            import torch

            share = torch.cuda.device_count() / (workers or 1)
            gpus = share if share <= 1 else int(share)
    return Engine(workers, args.ray, worker_threads(args) or 1, gpus)


def worker_threads(args: argparse.Namespace) -> int | None:
    """Return the CPU threads of each worker; None leaves them to torch and OpenCV."""
    if args.threads is not None or (args.workers in (None, 1) and args.ray is None):
        return args.threads
    return 1 if args.ray else max(1, (os.cpu_count() or 1) // args.workers)


def query_options() -> dict[str, Any]:
    """Return the options that say which points are followed, and what they are by themselves."""
    parser = argparse.ArgumentParser()
    add_query_options(parser)
    return vars(parser.parse_args([]))


class QueryChoice:
    """Makes the queries of each video as the options say, or from its own file.

    Args:
        args: the options; `queries` is in the rows.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        given = vars(args)
        self._device = args.device
        self._by_options = {name: given[name] for name in query_options()} | {"queries": None}
        self._by_file = query_options() | {
            "normalized": args.normalized,
            "queries_from": args.queries_from,
        }

    def __call__(self, video: Video, file: Path | None) -> Queries:
        """Return the queries of a video.

        Raises:
            UserError: they do not fit it, or the file cannot be read.
        """
        chosen = self._by_options if file is None else self._by_file | {"queries": str(file)}
        with redirect_stdout(io.StringIO()):  # where frames are chosen, it is told which
            return choose_queries(argparse.Namespace(**chosen, device=self._device), video)
