"""What a tracking run writes, and where."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import numpy as np

from tracker.errors import UserError
from tracker.files import results_folder
from tracker.points.drawing import DrawingStyle, contact_sheet, overlay, write_image
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.video.video import Video
from tracker.video.writing import write_video

KINDS = ("npz", "csv", "png", "mp4")
"""What can be written, in the order of writing."""

OTHER_KINDS = {"avi", "gif", "h5", "jpeg", "jpg", "json", "mkv", "mov", "parquet", "webm"}
"""What people would like to be written by its name; a folder of such a name is no one's wish."""

DEFAULT_STYLE = DrawingStyle()


def add_output_options(command: argparse.ArgumentParser, default: str) -> None:
    """Add the options that say what is written, how it is drawn, and where it goes.

    Args:
        command: gets the options.
        default: where results go without `--out`, as people are told.
    """
    written = command.add_argument_group("what is written")
    written.add_argument(
        "--out",
        metavar="PATH",
        help="a folder, or a single file that ends in .npz, .csv, .png or .mp4; "
        f"default: {default}, numbered",
    )
    written.add_argument(
        "--save",
        metavar="KIND,...",
        help=f"which files to write into the folder; default: {','.join(KINDS)}",
    )
    written.add_argument(
        "--overwrite", action="store_true", help="replace tracks that are there already"
    )
    written.add_argument(
        "--draw",
        default="",
        metavar="OPTION,...",
        help=f"trail=N frames (default {DEFAULT_STYLE.trail}), size=X times the usual dots, "
        "names beside the points, visible points only; as in trail=24,size=1.5,names",
    )


def parse_style(options: str) -> DrawingStyle:
    """Read what `--draw` says, such as `trail=24,names`.

    Raises:
        UserError: there is no such option, or its value is no number.
    """
    values: dict[str, int | float | bool] = {}
    kinds = {"trail": int, "size": float, "names": None, "visible": None}
    for option in filter(None, (part.strip() for part in options.split(","))):
        name, equals, text = option.partition("=")
        if name not in kinds:
            raise UserError(f"--draw {name!r} is not one of {', '.join(kinds)}")
        read = kinds[name]
        if (read is None) == bool(equals):
            raise UserError(f"--draw {option}: write {name if read is None else f'{name}=NUMBER'}")
        try:
            values[name] = True if read is None else read(text)
        except ValueError:
            raise UserError(f"--draw {option}: {text!r} is not a number") from None
    return DrawingStyle(**values)  # type: ignore[arg-type]  # each of its own type


@dataclass(frozen=True)
class OutputFiles:
    """What a run writes.

    Attributes:
        paths: a file for each of some `KINDS`.
        stale: what an earlier run left in the folder, or files of two runs would stand there.
    """

    paths: dict[str, Path]
    stale: list[Path] = field(default_factory=list)

    @contextmanager
    def folders(self) -> Iterator[None]:
        """Make the folders, and prove that they can be written to; leave no empty ones.

        Raises:
            UserError: they cannot.
        """
        with ExitStack() as stack:
            for folder in {path.parent for path in self.paths.values()}:
                stack.enter_context(results_folder(folder))
            yield

    def write(
        self,
        video: Video,
        tracks: Tracks,
        style: DrawingStyle | None = None,
        truth: Tracks | None = None,
    ) -> Iterator[Path]:
        """Write the files, and yield each as soon as it is complete.

        Args:
            video: what was tracked.
            tracks: in its pixels.
            style: how points are drawn; None as by default.
            truth: drawn as well, where it is known.

        Raises:
            UserError: a file cannot be written.
        """
        from tracker.progress import progress_bar

        for path in self.stale:
            path.unlink(missing_ok=True)
        for kind, path in self.paths.items():
            if kind in ("npz", "csv"):
                tracks.save(path)
            elif kind == "png":
                write_image(path, contact_sheet(video, tracks, style=style))
            else:
                with progress_bar("drawing", total=len(video)) as progress:
                    pictures = overlay(video, tracks, truth, style)
                    write_video(path, _counted(pictures, len(video), progress), video.fps)
            yield path


def choose_files(out: str | None, save: str | None, overwrite: bool, default: Path) -> OutputFiles:
    """Return what is to be written.

    Args:
        out: a folder, a file, or None for `default`.
        save: kinds with commas between them, or None for all.
        overwrite: whether files that are there may be replaced.
        default: a folder; where it holds tracks, the same name with the next free number.

    Raises:
        UserError: there is no such kind, or something would be overwritten.
    """
    kinds = _choose_kinds(save)
    if out == "":
        raise UserError("--out is empty; name a folder, or a file such as result.mp4")
    if out is None:
        folder = free_folder(default, lambda f: bool(_tracks_in(f)) and not overwrite)
    else:
        folder = Path(out)
        suffix = folder.suffix[1:].lower()
        if suffix in KINDS and not folder.is_dir():
            if save is not None:
                raise UserError(f"--out {out} is one file; leave out --save, or name a folder")
            if folder.exists() and not overwrite:
                raise UserError(f"{out} is there already; add --overwrite to replace it")
            return OutputFiles({suffix: folder})
        if suffix in OTHER_KINDS and not folder.exists():
            names = ", ".join(f".{kind}" for kind in KINDS)
            raise UserError(f"--out {out}: files end in {names}; name one of those, or a folder")
        if _tracks_in(folder) and not overwrite:
            raise UserError(f"{out} holds tracks; add --overwrite to replace them, or choose --out")
    return OutputFiles({kind: folder / f"tracks.{kind}" for kind in kinds}, _tracks_in(folder))


def free_folder(default: Path, taken: Callable[[Path], bool]) -> Path:
    """Return the first of `name`, `name-2`, `name-3` ... that is not taken."""
    numbered = (default.with_name(f"{default.name}-{number}") for number in count(2))
    return next(folder for folder in chain([default], numbered) if not taken(folder))


def _choose_kinds(save: str | None) -> list[str]:
    names = list(KINDS) if save is None else [name.strip() for name in save.split(",")]
    wrong = [name for name in names if name not in KINDS]
    if wrong:
        raise UserError(f"--save {wrong[0]!r} is not one of {', '.join(KINDS)}")
    return [kind for kind in KINDS if kind in names]


def _tracks_in(folder: Path) -> list[Path]:
    paths = (folder / f"tracks.{kind}" for kind in KINDS)
    return [path for path in paths if path.exists()]


def _counted(
    pictures: Iterable[np.ndarray], total: int, progress: Progress
) -> Iterator[np.ndarray]:
    for number, picture in enumerate(pictures, start=1):
        yield picture
        progress(number, total)
