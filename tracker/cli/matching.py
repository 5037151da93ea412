"""`vjepa-tracker matching`: how well frozen features find points, as a table.

torch is loaded when it runs, so that the other commands start fast.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from tracker.cli.track import add_threads_option, set_threads
from tracker.errors import UserError, exit_on_user_error
from tracker.files import atomic_path, results_file

if TYPE_CHECKING:
    from tracker.features.backbone import FrozenBackbone
    from tracker.features.template import PositionalTemplate
    from tracker.pretraining.frozen.nearest import Row, Way

DESCRIPTION = """\
Measure frozen features by what they find with nothing trained: the nearest neighbour, in whole
frames, of the first visible query of each track, in all later frames in which it is visible. The
table has the share of points found within 4, 8, 16 and 32 of 256 pixels, of all points and of
those that have moved more than 16.
"""

EXAMPLES = """\
examples:
  vjepa-tracker matching --tapvid davis.pkl --baselines
  vjepa-tracker matching --scenes 16 --backbones mini runs/backbone/last --stem mini
  vjepa-tracker matching --videos my_videos --backbones mini --template none --layers 8
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker matching",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what describes frames")
    what.add_argument(
        "--backbones",
        nargs="+",
        default=["mini"],
        metavar="NAME",
        help="mini, efficientnet-lite2, hub ids, folders or .pt files",
    )
    what.add_argument(
        "--layers",
        type=int,
        nargs="+",
        metavar="I",
        help="default: as the template beside the weights, or the usual ones",
    )
    what.add_argument("--size", type=int, nargs=2, default=[256, 256], metavar=("H", "W"))
    what.add_argument("--window", type=int, metavar="T", help="default: likewise, or 16")
    what.add_argument(
        "--frame-mode",
        metavar="MODE",
        help="tubelet, offset, duplicate or image; default: image where there is no other",
    )
    what.add_argument(
        "--template",
        default="auto",
        metavar="FILE|auto|fit|none",
        help="auto: the one beside a backbone's weights, or one fitted; default: %(default)s",
    )
    what.add_argument("--template-clips", type=int, default=64, metavar="N", help="to fit one")
    what.add_argument("--textures", metavar="DIR", help="photographs to fit a template on")
    what.add_argument("--teacher", metavar="NAME", help="such as efficientnet-lite2")
    what.add_argument("--stem", metavar="TRACKER", help="the RGB stem of a tracker, such as mini")
    what.add_argument(
        "--weight", type=float, default=0.5, help="of a map that is added to the stem's"
    )
    what.add_argument("--baselines", action="store_true", help="random weights and raw pixels too")
    where = parser.add_argument_group("which videos")
    where.add_argument("--tapvid", metavar="FILE", help="a TAP-Vid file or folder")
    where.add_argument("--videos", metavar="DIR", help="their truth is optical flow, both ways")
    where.add_argument("--scenes", type=int, default=0, metavar="N", help="rendered scenes")
    parser.add_argument("--device", default="auto", help="cpu, cuda, or auto (default)")
    parser.add_argument("--out", metavar="FILE.csv", help="write the table too")
    add_threads_option(parser)
    return parser


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Measure what `argv` names and print the table; return the exit code."""
    args = build_parser().parse_args(argv)
    set_threads(args.threads)
    if args.template_clips < 2:
        raise UserError(f"--template-clips {args.template_clips}: give 2 or more")
    with results_file(args.out) if args.out else nullcontext():
        fill_table(args)
    return 0


def fill_table(args: argparse.Namespace) -> None:
    """Measure, and print and write the table.

    Raises:
        UserError: what is named is missing, or cannot be read.
    """
    from tracker.pretraining.frozen.nearest import measure
    from tracker.pretraining.frozen.videos import named_sets

    sets = list(named_sets(args.tapvid, args.scenes, args.videos))
    ways = _ways(args)
    table: list[list[str]] = []
    for name, videos in sets:
        rows = measure(ways, videos)
        table += [[name, way, *_cells(row)] for way, row in rows.items()]
        _show(name, rows)
    if args.out:
        with atomic_path(args.out) as partial, partial.open("w", newline="") as file:
            csv.writer(file).writerows([_header(), *table])
        print(f"written: {args.out}")


def _ways(args: argparse.Namespace) -> list[Way]:
    from tracker.devices import check_device
    from tracker.pretraining.distill.teachers import open_teacher
    from tracker.pretraining.frozen import describers
    from tracker.pretraining.frozen.nearest import Way
    from tracker.tracking.tracker import PointTracker

    device, size = str(check_device(args.device)), tuple(args.size)
    alone: list[tuple[str, describers.Describer]] = []
    for name in args.backbones:
        backbone, template = _backbone(args, name, device)
        alone.append((name, describers.describe_by_backbone(backbone, template, device)))
        if args.baselines and name == args.backbones[0]:
            random = describers.random_backbone(backbone)
            fitted = (
                None
                if template is None
                else describers.fit_template(random, args.template_clips, args.textures, device)
            )
            describe = describers.describe_by_backbone(random, fitted, device)
            alone.append(("random weights", describe))
    if args.baselines:
        alone.append(("raw pixels", describers.describe_by_pixels(size)))
    if args.teacher:
        teacher = open_teacher(args.teacher, device=device)
        alone.append((args.teacher, describers.describe_by_teacher(teacher, size, device)))
    ways = [Way(name, describe) for name, describe in alone]
    if args.stem:
        tracker = PointTracker.from_pretrained(args.stem)
        stem = describers.describe_by_stem(tracker, size)
        ways.append(Way(f"stem of {args.stem}", stem))
        ways += [Way(f"stem + {args.weight:g} x {n}", stem, d, args.weight) for n, d in alone]
    return ways


def _backbone(
    args: argparse.Namespace, name: str, device: str
) -> tuple[FrozenBackbone, PositionalTemplate | None]:
    """Open a backbone, read as the template beside it says where the options do not."""
    from tracker.features.backbone import BackboneConfig, FrozenBackbone
    from tracker.features.template import PositionalTemplate, template_beside
    from tracker.pretraining.frozen.describers import fit_template

    layers = None if args.layers is None else tuple(args.layers)
    asked = {"layers": layers, "input_size": tuple(args.size), "window": args.window}
    beside = template_beside(name, **asked, frame_mode=args.frame_mode)
    read = {} if beside is None else beside.identity
    backbone = FrozenBackbone(
        BackboneConfig.usual(
            name,
            tuple(args.size),
            args.window or read.get("window") or 16,
            args.layers or read.get("layers"),
            args.frame_mode or read.get("frame_mode"),
        )
    )
    if args.template == "none":
        return backbone, None
    if args.template == "auto" and beside is not None:
        return backbone, beside
    if args.template not in ("auto", "fit"):
        return backbone, PositionalTemplate.load(args.template)
    return backbone, fit_template(backbone, args.template_clips, args.textures, device)


def _header() -> list[str]:
    from tracker.pretraining.frozen.nearest import THRESHOLDS

    columns = [f"{kind} {limit}" for kind in ("all", "moved") for limit in THRESHOLDS]
    return ["videos", "features", *columns]


def _cells(row: Row) -> list[str]:
    return [f"{100 * value:.1f}" for value in (*row.everywhere, *row.moved)]


def _show(name: str, rows: dict[str, Row]) -> None:
    counts = next(iter(rows.values())).counts
    width = max(len("features"), *map(len, rows))
    print(
        f"{name}: {counts[0]} places to find, {counts[1]} of them moved; % within 4 / 8 / 16 / 32"
    )
    print(f"{'features':{width}}  {'all':>25}  {'moved':>25}")
    for way, row in rows.items():
        cells = _cells(row)
        halves = (" / ".join(f"{c:>4}" for c in half) for half in (cells[:4], cells[4:]))
        print(f"{way:{width}}  {'  '.join(f'{half:>25}' for half in halves)}")
