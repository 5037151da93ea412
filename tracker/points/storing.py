"""Tracks as files of our own, which give back the same tracks, bit for bit.

Fields are those of `Tracks`, by name.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tracker.errors import UserError

Fields = dict[str, Any]

CSV_COLUMNS = [
    *["point", "frame", "x", "y", "visible", "confidence"],
    *["query_frame", "query_x", "query_y", "width", "height", "fps"],
]
"""One row says all of its point and video, so that any program reads the file as a plain table; a
column `name` follows where points have names, and `start`, `stride` where these are not 0 and 1."""

MORE_COLUMNS = ("name", "start", "stride")


def write_npz(path: Path, fields: Fields) -> None:
    """Write all arrays, without pickles; names, start and stride where there are any."""
    arrays = dict(fields)
    arrays["size"] = np.array(fields["size"], np.int64)
    arrays["fps"] = np.float64(fields["fps"])
    names, start, stride = (arrays.pop(name) for name in ("names", "start", "stride"))
    if names is not None:
        arrays["names"] = np.array(names, np.str_)
    if (start, stride) != (0, 1):
        arrays["start"], arrays["stride"] = np.int64(start), np.int64(stride)
    np.savez_compressed(path, **arrays)


def read_npz(path: Path) -> Fields:
    """Read what `write_npz` wrote."""
    with np.load(path, allow_pickle=False) as data:
        width, height = data["size"]
        fields = {name: data[name] for name in ("xy", "visible", "queries", "confidence")}
        return {
            **fields,
            "size": (int(width), int(height)),
            "fps": float(data["fps"]),
            "names": data.get("names"),
            "start": int(data.get("start", 0)),
            "stride": int(data.get("stride", 1)),
        }


def write_csv(path: Path, fields: Fields) -> None:
    """Write a row per point and frame, complete by itself: no line is anything but a row.

    Tracks without points or frames have rows, too, with an empty cell for what is not there.
    """
    # float32 -> Python float -> repr is exact, so reading back is too.
    queries, xy, confidence = (fields[name].tolist() for name in ("queries", "xy", "confidence"))
    visible = fields["visible"].astype(int).tolist()
    count, length = fields["visible"].shape
    names, start, stride = (fields[name] for name in ("names", "start", "stride"))
    strided = (start, stride) != (0, 1)
    header = [*CSV_COLUMNS, *(["name"] if names is not None else [])]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*header, *(["start", "stride"] if strided else [])])
        points: Sequence[Any] = range(count) or [""]
        for point in points:
            query = [""] * 3 if point == "" else queries[point]
            more = [] if names is None else [names[point] if point != "" else ""]
            more += [start, stride] if strided else []
            for frame in range(length) or [""]:
                here = [""] * 4
                if "" not in (point, frame):
                    seen, certainty = visible[point][frame], confidence[point][frame]
                    here = [*xy[point][frame], seen, certainty]
                size, fps = fields["size"], fields["fps"]
                writer.writerow([point, frame, *here, *query, *size, fps, *more])


def read_csv(path: Path) -> Fields:
    """Read what `write_csv` wrote.

    Raises:
        UserError: its columns or rows are others.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        more = header[len(CSV_COLUMNS) :]
        if header[: len(CSV_COLUMNS)] != CSV_COLUMNS or not set(more) <= set(MORE_COLUMNS):
            raise UserError(f"its columns are not {','.join(CSV_COLUMNS)}")
        cells = list(reader)
    numbers = [[cell or "nan" for cell in row[: len(CSV_COLUMNS)]] for row in cells]
    rows = np.array(numbers, np.float64)
    # A cell is empty where there are no points, or no frames.
    count, length = (0 if np.isnan(last) else int(last) + 1 for last in rows[-1, :2])
    expected = np.indices((max(count, 1), max(length, 1))).reshape(2, -1).T
    if not np.array_equal(np.nan_to_num(rows[:, :2]), expected):
        raise UserError("its rows are not those of every point in every frame, in this order")
    paths = rows.reshape(max(count, 1), max(length, 1), -1)[:count, :length]
    width, height, fps = rows[0, 9:]
    of_points = cells[:: max(length, 1)][:count]
    last = dict(zip(more, cells[0][len(CSV_COLUMNS) :], strict=True))
    return {
        "xy": paths[..., 2:4].astype(np.float32),
        "visible": paths[..., 4] > 0,
        "queries": rows[:: max(length, 1), 6:9][:count].astype(np.float32),
        "size": (int(width), int(height)),
        "fps": float(fps),
        "confidence": paths[..., 5].astype(np.float32),
        "names": [row[header.index("name")] for row in of_points] if "name" in more else None,
        "start": int(last.get("start", 0)),
        "stride": int(last.get("stride", 1)),
    }
