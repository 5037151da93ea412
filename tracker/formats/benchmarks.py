"""TAP-Vid and VOT.

- `tapvid`: a pickle of one video, `tracks`, with `points (N, T, 2)` and `occluded (N, T)`. x and y
  are shares of width and height, from the corner of the first pixel; frames are those of the run.
  Hidden points are `occluded`. The format has no rate, and the video itself is not in it.
- `vot`: a zip of `output_NAME.txt`, as trackers write in the folder protocol: a line for each frame
  of the sequence from 0, x,y from the query's frame on, hidden or not, else 0. Origin top left, the
  centre of the first pixel at 0. The format has no rate, and nothing to say that a point is hidden.
  Read back: `query_*.txt`, a file, a pattern or the folder; each is a query.
"""

from __future__ import annotations

import os
import pickle
from glob import glob
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from tracker.errors import UserError
from tracker.formats.anchors import Anchors
from tracker.formats.paths import CENTRE, Paths, number

ABSENT = "0"
"""What VOT calls a frame in which there is nothing to say."""


def write_tapvid(paths: Paths, path: Path) -> None:
    """Write TAP-Vid's layout; see `tracker.formats.benchmarks`."""
    entry = {**paths.tracks.to_tapvid(), "names": list(paths.names)}
    with path.open("wb") as file:
        pickle.dump({"tracks": entry}, file)


def write_vot(paths: Paths, path: Path) -> None:
    """Write a zip with a file for each point; see `tracker.formats.benchmarks`."""
    xy = paths.centred()
    frames = paths.frames
    length = int(frames[-1]) + 1 if len(frames) else 0
    queried = paths.tracks.queries[:, 0]
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for point, name in enumerate(paths.names_of(str.isalnum)):
            lines = [ABSENT] * length
            for t, frame in enumerate(frames):
                if t >= queried[point] and paths.known[point, t]:
                    lines[frame] = ",".join(map(number, xy[point, t]))
            archive.writestr(f"output_{name}.txt", "".join(f"{line}\n" for line in lines))


def vot_files(path: Path) -> list[Path]:
    """Return the query files that a path means: one, those of a pattern, or of a folder."""
    if os.path.isdir(path):  # False too for what cannot be a name, where Path raises
        return sorted(path.glob("query_*.txt"))
    return [path] if os.path.isfile(path) else sorted(map(Path, glob(str(path))))


def read_vot(path: Path) -> Anchors:
    """Read `query_*.txt`; see `tracker.formats.benchmarks`.

    Raises:
        UserError: a query that is no point, such as a box or a mask.
    """
    rows = []
    for file in vot_files(path):
        lines = file.read_text(encoding="utf-8").split("\n")
        numbers = lines[1].split(",") if len(lines) > 1 else []
        if len(numbers) != 2 or not lines[0].strip().isdigit():
            raise UserError(f"{file} is not the query of a point: a frame, then a line x,y")
        x, y = (float(part) + CENTRE for part in numbers)
        rows.append((int(lines[0]), x, y, file.stem.removeprefix("query_"), False))
    return Anchors.of(rows)
