"""napari and COLMAP.

- `napari`: the rows of a Tracks layer, as CSV with the columns track_id, t, y, x (then name and
  confidence). Origin top left, the centre of the first pixel at 0; frames from 0. Hidden frames
  have no row. The format has no rate. Read back, such a table, or a Points layer that napari saved;
  each row is an anchor.
- `colmap`: a database in which points that are seen are keypoints, and the same point in two frames
  is a match. Origin top left, the corner of the first pixel at 0; frames from 0, as images
  `frame_000000.png`. Hidden points are no keypoints. The format has no rate. Frames are paired that
  are 1, 2, 4, 8 ... apart; geometry is left for COLMAP to verify.
"""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from tracker.errors import UserError
from tracker.formats.anchors import Anchors
from tracker.formats.paths import CENTRE, Paths, number

TRACK_COLUMNS = ("track_id", "t", "y", "x")


def write_napari(paths: Paths, path: Path) -> None:
    """Write the rows of a Tracks layer; see `tracker.formats.science`."""
    xy = paths.centred()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*TRACK_COLUMNS, "name", "confidence"])
        for point, name in enumerate(paths.names):
            for t in np.flatnonzero(paths.seen[point]):
                x, y = map(number, xy[point, t])
                confidence = f"{paths.confidence[point, t]:.6g}"
                writer.writerow([point, paths.frames[t], y, x, name, confidence])


def is_napari(columns: list[str]) -> bool:
    """Whether a CSV's header is one that napari, or `write_napari`, writes."""
    lower = [column.lower() for column in columns]
    return lower[:2] == ["index", "axis-0"] or _columns_of_tracks(lower) is not None


def _columns_of_tracks(lower: list[str]) -> list[int] | None:
    for first in ("track_id", "id", "track-id"):
        if {first, "t", "y", "x"} <= set(lower):
            return [lower.index(name) for name in (first, "t", "y", "x")]
    return None


def read_napari(path: Path) -> Anchors:
    """Read the CSV of a Tracks or Points layer; see `tracker.formats.science`.

    Raises:
        UserError: the layer has three dimensions of space.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *lines = [line for line in csv.reader(file) if line]
    lower = [column.lower() for column in header]
    named = next((lower.index(c) for c in ("name", "label") if c in lower), None)
    of_tracks = _columns_of_tracks(lower)
    if of_tracks is not None:
        track, t, y, x = of_tracks
        named = track if named is None else named
    else:
        axes = [place for place, column in enumerate(lower) if column.startswith("axis-")]
        if len(axes) > 3:
            raise UserError(f"{path} has {len(axes)} axes; a video has three: frame, y, x")
        t, y, x = axes if len(axes) == 3 else (-1, *axes)
    rows = []
    for line in lines:
        frame = round(float(line[t])) if t >= 0 else 0
        place = (float(line[x]) + CENTRE, float(line[y]) + CENTRE)
        rows.append((frame, *place, "" if named is None else line[named], False))
    return Anchors.of(rows)


_COLMAP_TABLES = """
CREATE TABLE cameras (
    camera_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, model INTEGER NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, params BLOB,
    prior_focal_length INTEGER NOT NULL);
CREATE TABLE images (
    image_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name TEXT NOT NULL UNIQUE,
    camera_id INTEGER NOT NULL,
    CONSTRAINT image_id_check CHECK(image_id >= 0 and image_id < 2147483647),
    FOREIGN KEY(camera_id) REFERENCES cameras(camera_id));
CREATE UNIQUE INDEX index_name ON images(name);
CREATE TABLE keypoints (
    image_id INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL, cols INTEGER NOT NULL,
    data BLOB, FOREIGN KEY(image_id) REFERENCES images(image_id) ON DELETE CASCADE);
CREATE TABLE descriptors (
    image_id INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL, cols INTEGER NOT NULL,
    data BLOB, FOREIGN KEY(image_id) REFERENCES images(image_id) ON DELETE CASCADE);
CREATE TABLE matches (
    pair_id INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL, cols INTEGER NOT NULL,
    data BLOB);
CREATE TABLE two_view_geometries (
    pair_id INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL, cols INTEGER NOT NULL,
    data BLOB, config INTEGER NOT NULL, F BLOB, E BLOB, H BLOB, qvec BLOB, tvec BLOB);
"""
"""The schema of COLMAP 3.9, which later versions bring up to their own when they open it."""

_SIMPLE_RADIAL = 2
_IMAGE_LIMIT = 2147483647
_FOCAL_LENGTH = 1.2
"""COLMAP's first guess, as a share of the longer side."""


def write_colmap(paths: Paths, path: Path) -> None:
    """Write a database of keypoints and matches; see `tracker.formats.science`."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as base, base:
        base.executescript(_COLMAP_TABLES)
        width, height = paths.size
        params = [_FOCAL_LENGTH * max(width, height), width / 2, height / 2, 0]
        camera = (1, _SIMPLE_RADIAL, width, height, np.array(params, "<f8").tobytes(), 0)
        base.execute("INSERT INTO cameras VALUES (?, ?, ?, ?, ?, ?)", camera)
        places = []
        for t, frame in enumerate(paths.frames):
            seen = np.flatnonzero(paths.seen[:, t])
            places.append({point: row for row, point in enumerate(seen.tolist())})
            name = f"frame_{frame:06d}.png"
            base.execute("INSERT INTO images VALUES (?, ?, ?)", (t + 1, name, 1))
            keypoints = paths.xy[seen, t].astype("<f4")
            base.execute(
                "INSERT INTO keypoints VALUES (?, ?, ?, ?)",
                (t + 1, len(seen), 2, keypoints.tobytes()),
            )
        for first, second in _frame_pairs(len(places)):
            shared = places[first].keys() & places[second].keys()
            matches = [(places[first][point], places[second][point]) for point in sorted(shared)]
            if matches:
                pair = _IMAGE_LIMIT * (first + 1) + second + 1
                data = np.array(matches, "<u4").tobytes()
                base.execute(
                    "INSERT INTO matches VALUES (?, ?, ?, ?)", (pair, len(matches), 2, data)
                )


def _frame_pairs(count: int) -> list[tuple[int, int]]:
    """Pairs of frames 1, 2, 4, 8 ... apart: each frame meets many, near and far."""
    gaps = [2**power for power in range(count.bit_length())]
    return [(first, first + gap) for gap in gaps for first in range(count - gap)]
