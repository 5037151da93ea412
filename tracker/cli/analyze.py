"""`vjepa-tracker analyze`: the options of each analysis, and what is printed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tracker.cli.track import add_threads_option, set_threads
from tracker.errors import UserError, exit_on_user_error, log
from tracker.files import results_folder

if TYPE_CHECKING:
    from tracker.analysis.features import Features, Settings, Step
    from tracker.analysis.report import Report
    from tracker.video.video import Video

DESCRIPTION = """\
Look at frozen V-JEPA 2 features, and at videos.

Every analysis leaves PNG figures, its numbers as JSON, and report.html, which holds all of it and
needs no other file. `cuts` looks at pictures alone, the others at features: raw, and as the
residual that is left when the positional template (the mean feature at each place over many
clips) is subtracted.
"""

EXAMPLES = """\
examples:
  vjepa-tracker analyze positional                         rendered clips, no file needed
  vjepa-tracker analyze positional --videos my_videos --clips 64
  vjepa-tracker analyze pca clip.mp4 --layers 4 8
  vjepa-tracker analyze match clip.mp4 --points 0,120,64 8,200,90
  vjepa-tracker analyze frames clip.mp4 --keyframes 6
  vjepa-tracker analyze cuts film.mp4                      where shots begin, what is black
  vjepa-tracker analyze pca clip.mp4 --backbone facebook/vjepa2-vitl-fpc64-256
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the analyses and their options."""
    analyze = argparse.ArgumentParser(
        prog="vjepa-tracker analyze",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = analyze.add_subparsers(dest="analysis", required=True, metavar="ANALYSIS")
    positional = kinds.add_parser(
        "positional", help="what position explains, before and after the template"
    )
    _add_common(positional, run_positional, "positional")
    pca = kinds.add_parser("pca", help="first three principal components as colour")
    _add_video(pca)
    _add_common(pca, run_pca, "pca")
    match = kinds.add_parser("match", help="similarity maps of points over all frames")
    _add_video(match)
    match.add_argument(
        "--points", nargs="+", required=True, metavar="t,x,y", help="points one by one"
    )
    _add_common(match, run_match, "match")
    frames = kinds.add_parser("frames", help="importance of each frame, and key frames")
    _add_video(frames)
    frames.add_argument(
        "--keyframes", type=int, default=4, metavar="K", help="how many; default: %(default)s"
    )
    _add_common(frames, run_frames, "frames")
    cuts = kinds.add_parser("cuts", help="hard cuts, and stretches without content")
    cuts.add_argument("video", metavar="VIDEO", help="a video")
    _add_range(cuts)
    add_threads_option(cuts)
    _add_out(cuts, run_cuts, "cuts")
    return analyze


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Run the analysis that `argv` names; return the exit code."""
    args = build_parser().parse_args(argv)
    set_threads(args.threads)
    args.run(args)
    return 0


def _add_video(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "video", nargs="?", metavar="VIDEO", help="a video; default: clips of the source below"
    )
    _add_range(parser)


def _add_range(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which frames of VIDEO")
    group.add_argument("--start", type=int, default=0, metavar="T", help="first frame to read")
    group.add_argument("--stop", type=int, metavar="T", help="frame to stop before")
    group.add_argument("--stride", type=int, default=1, metavar="S", help="read every S-th frame")
    group.add_argument(
        "--deinterlace", action="store_true", help="interpolate every other line of each frame"
    )


def _add_common(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None], name: str
) -> None:
    features = parser.add_argument_group(
        "which features (a template brings its own layers, size and window)"
    )
    features.add_argument(
        "--backbone", default="mini", metavar="NAME", help="mini, mini-random, hub id or folder"
    )
    features.add_argument(
        "--layers", type=int, nargs="+", metavar="I", help="counted from 1; default: the last"
    )
    features.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), help="input pixels; default: 256 256"
    )
    features.add_argument("--window", type=int, metavar="T", help="frames; default: 16")
    features.add_argument(
        "--template",
        default="auto",
        metavar="FILE|auto|fit|none",
        help="load it, take the one beside the weights or else fit it, fit it on clips, or keep to "
        "raw features; default: %(default)s",
    )
    features.add_argument(
        "--device",
        default="auto",
        help="cpu, cuda, or auto, a GPU where there is one; default: %(default)s",
    )
    add_threads_option(features)
    clips = parser.add_argument_group("which clips (default: rendered scenes)")
    source = clips.add_mutually_exclusive_group()
    source.add_argument("--videos", metavar="DIR", help="cut clips from a folder of videos")
    source.add_argument("--textures", metavar="DIR", help="photographs for the rendered scenes")
    clips.add_argument(
        "--clips", type=int, default=16, metavar="N", help="how many; default: %(default)s"
    )
    clips.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the clips; default: %(default)s"
    )
    _add_out(parser, run, name)


def _add_out(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None], name: str
) -> None:
    out = f"outputs/analyze/{name}"
    parser.add_argument("--out", default=out, metavar="DIR", help="default: %(default)s")
    parser.set_defaults(run=run)


def read_settings(args: argparse.Namespace) -> Settings:
    """Return the settings that the common options give.

    Raises:
        UserError: no clips, or a device that is not there.
    """
    from tracker.analysis.features import Settings
    from tracker.devices import check_device

    if args.clips < 1:
        raise UserError(f"--clips {args.clips}: give 1 or more")
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: give 0 or more")
    return Settings(
        backbone=args.backbone,
        layers=None if args.layers is None else tuple(args.layers),
        size=None if args.size is None else (args.size[0], args.size[1]),
        window=args.window,
        template=args.template,
        clips=args.clips,
        videos=args.videos,
        textures=args.textures,
        seed=args.seed,
        device=str(check_device(args.device)),
    )


def run_positional(args: argparse.Namespace) -> None:
    """Run `analyze positional`."""
    from tracker.analysis.positional import analyze_positional

    _run(args, lambda settings, step: analyze_positional(_open(settings, step)))


def run_pca(args: argparse.Namespace) -> None:
    """Run `analyze pca`."""
    from tracker.analysis.pca import analyze_pca

    video = _video(args)
    _run(args, lambda settings, step: analyze_pca(_open(settings, step), video))


def run_match(args: argparse.Namespace) -> None:
    """Run `analyze match`."""
    from tracker.analysis.match import analyze_match
    from tracker.points.queries import Queries

    video, queries = _video(args), Queries.parse(args.points)
    _run(args, lambda settings, step: analyze_match(_open(settings, step), video, queries))


def run_frames(args: argparse.Namespace) -> None:
    """Run `analyze frames`."""
    from tracker.analysis.frames import analyze_frames

    video = _video(args)
    _run(args, lambda settings, step: analyze_frames(settings, video, args.keyframes, step))


def run_cuts(args: argparse.Namespace) -> None:
    """Run `analyze cuts`."""
    from tracker.analysis.cut_report import analyze_cuts

    video = _open_video(args)
    _write(args, lambda step: analyze_cuts(video, step), "frames", len(video))


def _video(args: argparse.Namespace) -> Video | None:
    return None if args.video is None else _open_video(args)


def _open_video(args: argparse.Namespace) -> Video:
    from tracker.video.loading import load_video

    return load_video(args.video, args.start, args.stop, args.stride, deinterlace=args.deinterlace)


def _open(settings: Settings, step: Step) -> Features:
    from tracker.analysis.features import Features

    features = Features.open(settings)
    features.step = step
    return features


def _run(args: argparse.Namespace, analyze: Callable[[Settings, Step], Report]) -> None:
    """Analyze features as the common options say."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # it would print lines across our own
    settings = read_settings(args)
    _write(args, lambda step: analyze(settings, step), "clips")


def _write(
    args: argparse.Namespace,
    analyze: Callable[[Step], Report],
    unit: str,
    total: int | None = None,
) -> None:
    """Analyze, write the report, and say what it found and what was skipped."""
    from tracker.progress import Bar

    with results_folder(args.out) as folder:
        with Bar(desc="reading", unit=f" {unit}", total=total, leave=False, delay=0.5) as bar:
            report = analyze(bar.update)
        paths = report.write(folder)
    if "fallback" in report.facts:
        log.warning("frames are spread evenly, for %s", report.facts["fallback"])
    print(report.text())
    for path in paths:
        print(f"written: {path}")
    for name, reason in report.skipped.items():
        log.warning("skipped %s: %s", name, reason)
