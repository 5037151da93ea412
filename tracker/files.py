"""Finding files below folders, and writing them so that a failure leaves nothing half-written."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from PIL.Image import DecompressionBombError

from tracker.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

UNREADABLE = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    EOFError,
    OSError,
    OverflowError,
    MemoryError,
    RuntimeError,  # such as of a zip file that claims to be encrypted
    zipfile.BadZipFile,
    zlib.error,
)
"""What the readers of CSV, JSON and NPZ raise when a file is not what its name says."""

UNREADABLE_IMAGE = (OSError, SyntaxError, ValueError, DecompressionBombError)
"""What PIL raises when a file is no picture, a damaged one, or far too large."""


def files_below(folder: str | Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files in a folder and its subfolders that have one of some suffixes, in order.

    Hidden files, such as the `._clip.mp4` that macOS leaves, are left out.

    Args:
        folder: that exists.
        suffixes: in lower case, with their dot; files may have them in upper case as well.
    """
    found = sorted(Path(folder).rglob("*"))
    return [p for p in found if p.suffix.lower() in suffixes and not p.name.startswith(".")]


def prepare_output_dir(path: str | Path) -> Path:
    """Create `path` (and parents) and prove that it can be written to.

    Raises:
        UserError: it is a file, or cannot be created or written.
    """
    folder = Path(path)
    probe = folder / f".write-probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"cannot write to the output folder {folder} ({error.strerror}); choose another with "
            "--out, output_dir= or run_dir="
        ) from error
    return folder


@contextmanager
def results_folder(path: str | Path) -> Iterator[Path]:
    """Prepare a folder for work that may fail; what was made for it and stays empty goes again.

    Raises:
        UserError: as `prepare_output_dir`.
    """
    folder = Path(path)
    made = [part for part in (folder, *folder.parents) if not part.exists()]
    try:
        yield prepare_output_dir(folder)
    finally:
        for part in made:
            with suppress(OSError):  # not empty: then it holds finished files
                part.rmdir()


@contextmanager
def results_file(path: str | Path) -> Iterator[Path]:
    """Prove before long work that its one file can be written; leave no empty folder if it fails.

    Raises:
        UserError: it is a folder, or its own folder cannot be written to.
    """
    file = Path(path)
    if file.is_dir():
        raise UserError(f"{file} is a folder; name a file")
    with results_folder(file.parent):
        yield file


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it there on success, delete it on failure.

    The temporary name keeps the suffix, because writers choose the format by it.

    Raises:
        UserError: the operating system refused (full disk, no permission).
    """
    target = Path(path)
    partial = partial_path(target)
    try:
        with writing_errors(target):
            yield partial
            partial.replace(target)
    finally:
        with suppress(OSError):  # not there where the folder itself is the trouble
            partial.unlink()


def partial_path(target: Path) -> Path:
    """Return where a file may be written beside the place that it gets when it is complete."""
    return target.with_name(f".{target.stem}.part-{os.getpid()}{target.suffix}")


@contextmanager
def writing_errors(target: Path) -> Iterator[None]:
    """Turn what the operating system says while a file is written into words for users.

    Raises:
        UserError: the operating system refused (full disk, no permission).
    """
    try:
        yield
    except OSError as error:
        if not target.parent.exists():
            raise UserError(
                f"cannot write {target}: there is no folder {target.parent}; make it first"
            ) from error
        raise UserError(
            f"cannot write {target} ({error.strerror or error}); free some disk space or choose "
            "another output folder"
        ) from error


def save_tensors(
    tensors: dict[str, Tensor], path: str | Path, metadata: dict[str, str] | None = None
) -> None:
    """Write a `.safetensors` file, all of it or nothing.

    Raises:
        UserError: the operating system refused.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with atomic_path(path) as partial:
        try:
            save_file(tensors, partial, metadata)
        except SafetensorError as error:
            raise OSError(str(error)) from error
