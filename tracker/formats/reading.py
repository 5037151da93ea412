"""Files of other programs that hold known places of points, told apart by what is in them.

Frames are numbered in the whole video, from 0. Nothing is unpickled, and so DeepLabCut's `.h5`,
which holds pickles, is not read: its `.csv` beside it says the same.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

from tracker.errors import UserError
from tracker.files import UNREADABLE
from tracker.formats.anchors import Anchors
from tracker.formats.annotation import read_cvat
from tracker.formats.benchmarks import read_vot, vot_files
from tracker.formats.pose import read_deeplabcut, read_sleap
from tracker.formats.science import is_napari, read_napari

_READERS = {
    "deeplabcut": read_deeplabcut,
    "sleap": read_sleap,
    "cvat": read_cvat,
    "napari": read_napari,
    "vot": read_vot,
}


def reader_of(path: str | Path) -> str | None:
    """Return the format of a file, pattern or folder that holds known places; None for others.

    Raises:
        UserError: it is a format of that kind that is not read.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".h5":
        raise UserError(f"{path} may hold pickles, which are not read; give the .csv beside it")
    if suffix == ".txt" or os.path.isdir(path):  # False too for what cannot be a name
        return "vot" if vot_files(path) else None
    if suffix == ".csv" and os.path.isfile(path):
        return _reader_of_csv(path)
    return {".slp": "sleap", ".xml": "cvat"}.get(suffix)


def _reader_of_csv(path: Path) -> str | None:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), [])
    except (*UNREADABLE, csv.Error):
        return None
    if header[:1] == ["scorer"]:
        return "deeplabcut"
    return "napari" if is_napari(header) else None


def read_anchors(path: str | Path, name: str | None = None) -> Anchors:
    """Read the known places that a file of another program holds.

    Args:
        path: a file; for VOT also a pattern such as `query_*.txt`, or a folder of them.
        name: of the format, as `reader_of` tells it; None finds it out.

    Raises:
        UserError: missing, of another format, or damaged.
    """
    name = name or reader_of(path)
    if name is None:
        raise UserError(f"{path} is none of the formats {', '.join(_READERS)}")
    try:
        return _READERS[name](Path(path))
    except UserError:
        raise
    except (*UNREADABLE, csv.Error) as error:
        raise UserError(f"{path} cannot be read as {name} ({error})") from error
