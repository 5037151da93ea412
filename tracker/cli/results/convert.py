"""`vjepa-tracker convert`: tracks as files of other programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tracker.errors import UserError, exit_on_user_error
from tracker.files import results_folder
from tracker.formats.registry import FORMATS, check_installed, find_format
from tracker.points.tracks import Tracks

DESCRIPTION = """\
Write tracks as files of other programs.

Frames are numbered in the whole video, whatever --start and --stride of `track` were, and have its
rate. A line for each format says what it is, and the convention that its numbers follow.
"""

EXAMPLES = """\
examples:
  vjepa-tracker convert outputs/clip/tracks.npz --to nuke           writes outputs/clip/tracks.nk
  vjepa-tracker convert tracks.npz --to nuke --first-frame 1001     for footage numbered from 1001
  vjepa-tracker convert tracks.csv --to deeplabcut,sleap --out labels/
  vjepa-tracker track clip.mp4 --save mp4,blender                   at once
"""


def format_lines() -> list[str]:
    """Return a line for each format: name, what it is, and its convention."""
    width = max(map(len, FORMATS)) + 2
    return [
        f"  {name:<{width}}{known.summary}: {known.convention}" for name, known in FORMATS.items()
    ]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker convert",
        description=DESCRIPTION,
        epilog="\n".join(["formats:", *format_lines(), "", EXAMPLES]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tracks", metavar="TRACKS", help="tracks.npz or tracks.csv of a run")
    parser.add_argument(
        "--to", required=True, metavar="FORMAT,...", help="one of those below, or several"
    )
    parser.add_argument(
        "--out", metavar="PATH", help="a file or a folder; default: beside TRACKS, by its name"
    )
    parser.add_argument(
        "--first-frame",
        type=int,
        metavar="N",
        help="what the program calls the first frame of the video, such as 1001; default: as below",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    return parser


def choose_targets(tracks: Path, names: list[str], out: str | None) -> list[tuple[str, Path]]:
    """Return the files to write, each with its format.

    Args:
        tracks: what is converted.
        names: of formats.
        out: a file for one format, a folder for any number, or None for that of `tracks`.

    Raises:
        UserError: there is no such format, or one file cannot hold what is asked for.
    """
    formats = [find_format(name) for name in names]
    if out is not None and Path(out).suffix and not Path(out).is_dir():
        endings = [
            f".{suffix.rpartition('.')[2]}" for known in formats for suffix in known.suffixes
        ]
        if len(formats) > 1:
            raise UserError(f"--out {out} is one file for {len(formats)} formats; name a folder")
        if Path(out).suffix not in endings:
            raise UserError(f"--out {out}: files of {names[0]} end in {' or '.join(endings)}")
        return [(names[0], Path(out))]
    folder = tracks.parent if out is None else Path(out)
    return [
        (name, folder / f"{tracks.stem}{suffix}")
        for name, known in zip(names, formats, strict=True)
        for suffix in known.suffixes
    ]


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Convert as the options in `argv` say; return the exit code."""
    args = build_parser().parse_args(argv)
    names = list(dict.fromkeys(name.strip() for name in args.to.split(",")))
    targets = choose_targets(Path(args.tracks), names, args.out)
    for name, path in targets:
        if path.exists() and not args.overwrite:
            raise UserError(f"{path} is there already; add --overwrite to replace it")
        if args.first_frame is not None and FORMATS[name].first_frame is None:
            raise UserError(f"--first-frame: frames have no numbers in {name}; leave it out")
        check_installed(name, path)
    tracks = Tracks.load(args.tracks)
    with ExitStack() as stack:
        for folder in {path.parent for _, path in targets}:
            stack.enter_context(results_folder(folder))
        for name, path in targets:
            print(f"written: {tracks.save(path, name, args.first_frame)}")
    return 0
