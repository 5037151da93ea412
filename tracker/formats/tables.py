"""Plain tables: CSV, Parquet and JSON, and the columns of a LeRobot data set.

All have their origin top left, with the corner of the first pixel at 0, as `Tracks` has; what is
hidden keeps the tracker's guess, and is marked as not visible.

- `csv`: a row for each point and frame; see `Tracks.save`. Frames are those of the run, from 0; the
  columns start and stride, where there are any, tell which they are in the whole video.
- `csv-wide`: a row for each frame, and x, y, visible, confidence of each point. Frames from 0, in
  the whole video, at whose rate the column time is in seconds.
- `parquet`: the rows of `Tracks.to_pandas`; size, rate, start, stride and queries stand in the
  file's metadata under `vjepa-tracker`, as JSON.
- `json`: everything, by name; it can be given to `track --queries`. What is not a number is null.
- `lerobot`: a row for each frame of one episode, with frame_index, timestamp and the feature
  `observation.points`, all x and y in a row, beside `.visible` and `.confidence`; the description
  for `meta/info.json` stands in the file's metadata under `lerobot`. Frames from 0, in the whole
  video, at its rate.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tracker.formats.paths import Paths
from tracker.points import storing

if TYPE_CHECKING:
    import pyarrow as pa

METADATA_KEY = b"vjepa-tracker"


def write_csv(paths: Paths, path: Path) -> None:
    """Write the rows of every point and frame, exactly; see `Tracks.save`."""
    storing.write_csv(path, vars(paths.tracks))


def write_wide_csv(paths: Paths, path: Path) -> None:
    """Write a row for each frame; see `tracker.formats.tables`."""
    tracks = paths.tracks
    kinds = ("x", "y", "visible", "confidence")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        columns = [f"{name}_{kind}" for name in paths.names for kind in kinds]
        writer.writerow(["frame", "time", *columns])
        for t, frame in enumerate(paths.frames.tolist()):
            row: list[float] = [frame, paths.video_frames[t] / paths.fps]
            for point in range(len(tracks)):
                row += tracks.xy[point, t].tolist()
                row += [int(tracks.visible[point, t]), tracks.confidence[point, t].item()]
            writer.writerow(row)


def _facts(paths: Paths) -> dict[str, Any]:
    """What a table of positions leaves out."""
    tracks = paths.tracks
    names = tracks.names or ("",) * len(tracks)
    queries = [
        {"t": t, "x": x, "y": y, "name": name}
        for (t, x, y), name in zip(_plain(tracks.queries), names, strict=True)
    ]
    return {
        "size": list(tracks.size),
        "fps": tracks.fps,
        "start": tracks.start,
        "stride": tracks.stride,
        "queries": queries,
    }


def _plain(array: np.ndarray) -> list[Any]:
    """Return an array as lists, with None for what is not a number, which JSON cannot hold."""
    plain = array.astype(object)
    plain[~np.isfinite(array)] = None
    return plain.tolist()


def write_json(paths: Paths, path: Path) -> None:
    """Write all that tracks hold; see `tracker.formats.tables`."""
    tracks = paths.tracks
    points = [
        {
            "name": name,
            "xy": _plain(tracks.xy[point]),
            "visible": tracks.visible[point].tolist(),
            "confidence": _plain(tracks.confidence[point]),
        }
        for point, name in enumerate(paths.names)
    ]
    content = {**_facts(paths), "frames": paths.frames.tolist(), "tracks": points}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def write_parquet(paths: Paths, path: Path) -> None:
    """Write the rows of `Tracks.to_pandas`; see `tracker.formats.tables`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = paths.tracks.long_columns()
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    pq.write_table(_noted(table, METADATA_KEY, _facts(paths)), path)


def write_lerobot(paths: Paths, path: Path) -> None:
    """Write the columns of one episode; see `tracker.formats.tables`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tracks, count = paths.tracks, len(paths.tracks)
    key = "observation.points"

    def lists(rows: np.ndarray, kind: pa.DataType) -> pa.Array:
        """Return `(T, K)` as a column of lists of K numbers."""
        return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel(), kind), rows.shape[1])

    frames = paths.frames
    xy = tracks.xy.transpose(1, 0, 2).reshape(len(frames), 2 * count)
    table = pa.table(
        {
            key: lists(xy, pa.float32()),
            f"{key}.visible": lists(tracks.visible.T, pa.bool_()),
            f"{key}.confidence": lists(tracks.confidence.T, pa.float32()),
            "timestamp": pa.array(paths.video_frames / paths.fps, pa.float32()),
            "frame_index": pa.array(frames, pa.int64()),
            "episode_index": pa.array(np.zeros_like(frames), pa.int64()),
            "index": pa.array(frames, pa.int64()),
            "task_index": pa.array(np.zeros_like(frames), pa.int64()),
        }
    )
    names = list(paths.names)
    places = [f"{name}.{axis}" for name in names for axis in "xy"]
    features = {
        key: {"dtype": "float32", "shape": [2 * count], "names": places},
        f"{key}.visible": {"dtype": "bool", "shape": [count], "names": names},
        f"{key}.confidence": {"dtype": "float32", "shape": [count], "names": names},
    }
    pq.write_table(_noted(table, b"lerobot", {"fps": paths.fps, "features": features}), path)


def _noted(table: pa.Table, key: bytes, facts: dict[str, Any]) -> pa.Table:
    return table.replace_schema_metadata({key: json.dumps(facts, ensure_ascii=False).encode()})
