"""Files of queries.

- CSV has a header with the columns `t`, `x`, `y`, and `name` where points have names; others are
  ignored. The `tracks.csv` of an earlier run gives what its points were tracked from.
- JSON holds a list of `[t, x, y]` or of `{"t":, "x":, "y":, "name":}`.
- NPZ holds an array `queries` of shape `(N, 3)`, and `names` where points have names; so the
  `tracks.npz` of an earlier run is itself a query file.
- Files of other programs, as `tracker.formats.reading` knows them, number the frames of the whole
  video.

Rows of one name are anchors of one point. A row with 1 in the column `hidden` of CSV, with
`"hidden": true` in JSON, or true in an array `hidden` of NPZ says that the point is not to be seen
in its frame; it needs no x and y.
"""

from __future__ import annotations

import csv
import json
import math
import os
import zipfile
from importlib import import_module
from pathlib import Path

import numpy as np

from tracker.errors import UserError
from tracker.files import UNREADABLE
from tracker.points.rows import Rows, said_hidden
from tracker.points.storing import CSV_COLUMNS
from tracker.points.tracks import Tracks


def read_queries(path: str | Path, frames: range | None = None) -> Rows:
    """Read rows of t, x, y, names, and which are hidden, where the file has them.

    Args:
        path: a file; for VOT also a pattern such as `query_*.txt`, or a folder of them.
        frames: which frames of the whole video are read, to number those of other programs; None
            for all.

    Raises:
        UserError: missing, malformed, or of another type.
    """
    path = Path(path)
    # By its name, for what it reads is told in terms of points.
    others = import_module("tracker.formats.reading")
    other = others.reader_of(path)
    if other and (os.path.isfile(path) or other == "vot"):
        anchors = others.read_anchors(path, other)
        if frames is not None:
            anchors = anchors.within(frames)
        anchors = anchors.of_seen_points()
        return anchors.txy, anchors.names if any(anchors.names) else None, anchors.hidden
    readers = {".csv": _read_csv, ".json": _read_json, ".npz": _read_npz}
    if path.suffix.lower() not in readers:
        raise UserError(
            f"queries file {path} is not one of .csv, .json, .npz, or .slp, .xml, query_*.txt"
        )
    if not os.path.isfile(path):  # False too for what cannot be a name, where Path raises
        raise UserError(f"queries file {path} does not exist; check the path")
    try:
        return readers[path.suffix.lower()](path)
    except UserError:
        raise
    except (*UNREADABLE, csv.Error) as error:
        raise UserError(
            f"queries file {path} cannot be read ({error}); it must hold t, x, y for each point"
        ) from error


def _read_csv(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = set(reader.fieldnames or ())
        if set(CSV_COLUMNS) <= columns:
            earlier = Tracks.load(path)
            return earlier.queries, earlier.names, None
        if not {"t", "x", "y"} <= columns:
            raise UserError(f"queries file {path} needs a first line with the columns t,x,y")
        rows, names, hidden = [], [], []
        for row in reader:
            try:
                unseen = said_hidden(row.get("hidden") or 0)
                place = ["nan", "nan"] if unseen else [row["x"], row["y"]]
                rows.append([float(cell) for cell in (row["t"], *place)])
            except UserError as error:
                raise UserError(f"line {reader.line_num} of {path}: {error}") from None
            except (ValueError, TypeError):
                raise UserError(
                    f"line {reader.line_num} of {path} is not three numbers t,x,y"
                ) from None
            names.append(row.get("name") or "")
            hidden.append(unseen)
    txy = np.array(rows, np.float32).reshape(-1, 3)
    return txy, names if "name" in columns else None, hidden


def _read_json(path: Path) -> Rows:
    entries = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(entries, dict) and "queries" in entries:
        entries = entries["queries"]
    if not isinstance(entries, list):
        raise UserError(f"queries file {path} holds no list; write [[t, x, y], ...]")
    rows, names, hidden = [], [], []
    for number, entry in enumerate(entries):
        keyed = entry if isinstance(entry, dict) else {}
        unseen = keyed.get("hidden", False)
        row = [entry.get(key) for key in "txy"] if keyed else entry
        if unseen is True and isinstance(row, list):
            row = [row[0], math.nan, math.nan]
        numbers = isinstance(row, list) and all(isinstance(value, int | float) for value in row)
        if not numbers or len(row) != 3 or not isinstance(unseen, bool):
            raise UserError(
                f"queries file {path}: entry {number} is {json.dumps(entry)}; write [t, x, y] or "
                '{"t": 0, "x": 12.5, "y": 40}, the frame first (0 for the first frame), or '
                '{"t": 0, "name": "eye", "hidden": true}'
            )
        rows.append(row)
        names.append(keyed.get("name", ""))
        hidden.append(unseen)
    txy = np.array(rows, np.float32).reshape(len(rows), 3)
    return txy, names if any(names) else None, hidden


def _read_npz(path: Path) -> Rows:
    if not zipfile.is_zipfile(path):
        raise UserError(f"queries file {path} is no .npz file; it may be damaged or renamed")
    with np.load(path, allow_pickle=False) as data:
        if "queries" not in data:
            raise UserError(f"queries file {path} needs an array named queries, rows of t, x, y")
        names = data["names"].tolist() if "names" in data else None
        return np.asarray(data["queries"], np.float32), names, data.get("hidden")
