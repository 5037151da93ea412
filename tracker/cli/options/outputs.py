"""What a tracking run writes, and where."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain, count
from pathlib import Path

from tracker.errors import UserError
from tracker.files import results_folder
from tracker.formats.registry import FORMATS, check_installed, format_of
from tracker.points.drawing import DrawingStyle, contact_sheet, write_image
from tracker.points.tracks import Tracks
from tracker.video.video import Video
from tracker.video.writing import VideoFile

KINDS = ("npz", "csv", "png", "mp4")
"""What a run writes, in this order; formats of other programs come after them."""

OTHER_KINDS = {"avi", "gif", "jpeg", "jpg", "mkv", "mov", "txt", "webm"}
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
        help="a folder, or a single file that ends in .npz, .csv, .png, .mp4, or as a format of "
        f"another program does; default: {default}, numbered",
    )
    written.add_argument(
        "--save",
        metavar="KIND,...",
        help=f"which files to write into the folder; default: {','.join(KINDS)}; also formats of "
        "other programs, such as nuke,sleap: see `vjepa-tracker convert --help`",
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
        paths: files, each with its kind, one of `KINDS` or a format of another program.
        stale: what an earlier run left in the folder, or files of two runs would stand there.
        objects: folder of the masks of objects that words name; None where one file alone is
            written.
    """

    paths: dict[Path, str]
    stale: list[Path] = field(default_factory=list)
    objects: Path | None = None

    @contextmanager
    def folders(self) -> Iterator[None]:
        """Make the folders, and prove that they can be written to; leave no empty ones.

        Raises:
            UserError: they cannot.
        """
        with ExitStack() as stack:
            for folder in {path.parent for path in self.paths}:
                stack.enter_context(results_folder(folder))
            yield

    def write(
        self,
        video: Video,
        tracks: Tracks,
        style: DrawingStyle | None = None,
        truth: Tracks | None = None,
        drawn: VideoFile | None = None,
    ) -> Iterator[Path]:
        """Write the files, and yield each as soon as it is complete.

        Args:
            video: what was tracked.
            tracks: in its pixels.
            style: how points are drawn; None as by default.
            truth: drawn as well, where it is known.
            drawn: one of the files, all of whose frames are drawn already.

        Raises:
            UserError: a file cannot be written.
        """
        from tracker.progress import progress_bar

        for path in self.stale:
            path.unlink(missing_ok=True)
        for path, kind in self.paths.items():
            if kind == "npz":
                tracks.save(path)
            elif kind in FORMATS:
                tracks.save(path, kind)
            elif kind == "png":
                write_image(path, contact_sheet(video, tracks, style=style))
            elif drawn is not None and path == drawn.path:
                drawn.finish()
            else:
                with progress_bar("drawing", total=len(video)) as progress:
                    tracks.render(video, path, style, truth, progress)
            yield path


def choose_files(
    out: str | None,
    save: str | None,
    overwrite: bool,
    default: Path,
    taken: Collection[Path] = (),
) -> OutputFiles:
    """Return what is to be written.

    Args:
        out: a folder, a file, or None for `default`.
        save: kinds with commas between them, or None for all.
        overwrite: whether files that are there may be replaced.
        default: a folder; where it holds tracks, the same name with the next free number.
        taken: folders that other videos of the run have.

    Raises:
        UserError: there is no such kind, or something would be overwritten.
    """
    kinds = choose_kinds(save)
    if out == "":
        raise UserError("--out is empty; name a folder, or a file such as result.mp4")
    if out is None:
        folder = free_folder(
            default, lambda f: f in taken or (bool(_tracks_in(f)) and not overwrite)
        )
    else:
        folder = Path(out)
        suffix = folder.suffix[1:].lower()
        kind = suffix if suffix in KINDS and suffix not in FORMATS else format_of(folder)
        if kind is not None and not folder.is_dir():
            if save is not None:
                raise UserError(f"--out {out} is one file; leave out --save, or name a folder")
            if folder.exists() and not overwrite:
                raise UserError(f"{out} is there already; add --overwrite to replace it")
            _check_installed(kind, folder)
            return OutputFiles({folder: kind})
        if suffix in OTHER_KINDS and not folder.exists():
            names = ", ".join(f".{kind}" for kind in KINDS)
            raise UserError(f"--out {out}: files end in {names}; name one of those, or a folder")
        _check_free(folder, overwrite)
    return _files_in(folder, kinds)


def choose_files_of_one(
    out: str, save: str | None, overwrite: bool, name: str, taken: Collection[Path]
) -> OutputFiles:
    """Return what is to be written of one of several videos, in a folder of its own in `out`.

    Args:
        out: a folder.
        save: kinds with commas between them, or None for all.
        overwrite: whether files that are there may be replaced.
        name: of the video's folder, numbered where another of the run has it.
        taken: folders that other videos of the run have.

    Raises:
        UserError: there is no such kind, or something would be overwritten.
    """
    folder = free_folder(Path(out) / name, lambda f: f in taken)
    _check_free(folder, overwrite)
    return _files_in(folder, choose_kinds(save))


def check_folder(out: str) -> None:
    """Check that `--out` may be a folder of several videos' results.

    Raises:
        UserError: it is the name of one file.
    """
    suffix = Path(out).suffix[1:].lower()
    one_file = suffix in KINDS or suffix in OTHER_KINDS or format_of(Path(out)) is not None
    if one_file and not Path(out).is_dir():
        raise UserError(f"--out {out} is one file for several videos; name a folder")


def _check_free(folder: Path, overwrite: bool) -> None:
    if _tracks_in(folder) and not overwrite:
        raise UserError(f"{folder} holds tracks; add --overwrite to replace them, or choose --out")


def _files_in(folder: Path, kinds: list[str]) -> OutputFiles:
    paths = {folder / f"tracks{suffix}": kind for kind in kinds for suffix in _suffixes(kind)}
    for path, kind in paths.items():
        _check_installed(kind, path)
    return OutputFiles(paths, _tracks_in(folder) + _masks_in(folder), folder / "objects")


def free_folder(default: Path, taken: Callable[[Path], bool]) -> Path:
    """Return the first of `name`, `name-2`, `name-3` ... that is not taken."""
    numbered = (default.with_name(f"{default.name}-{number}") for number in count(2))
    return next(folder for folder in chain([default], numbered) if not taken(folder))


def choose_kinds(save: str | None) -> list[str]:
    """Return the kinds of files that `--save` names, all of `KINDS` without it.

    Raises:
        UserError: there is no such kind.
    """
    names = list(KINDS) if save is None else [name.strip() for name in save.split(",")]
    known = list(dict.fromkeys([*KINDS, *FORMATS]))
    wrong = [name for name in names if name not in known]
    if wrong:
        near = get_close_matches(wrong[0], known, n=1)
        hint = f"; the nearest is {near[0]}" if near else ""
        raise UserError(f"--save {wrong[0]!r} is not one of {', '.join(known)}{hint}")
    return [kind for kind in known if kind in names]


def _suffixes(kind: str) -> tuple[str, ...]:
    return FORMATS[kind].suffixes if kind in FORMATS else (f".{kind}",)


def _check_installed(kind: str, path: Path) -> None:
    if kind in FORMATS:
        check_installed(kind, path)


def _masks_in(folder: Path) -> list[Path]:
    """Return what an earlier run of prompts left, and nothing that people put beside it."""
    objects = folder / "objects"
    if not (objects / "objects.json").is_file():
        return []
    masks = [path for path in objects.glob("*.png") if path.stem.isdecimal()]
    return [*masks, objects / "objects.png", objects / "objects.json"]


def _tracks_in(folder: Path) -> list[Path]:
    kinds = dict.fromkeys([*KINDS, *FORMATS])
    paths = (folder / f"tracks{suffix}" for kind in kinds for suffix in _suffixes(kind))
    return [path for path in paths if path.exists()]
