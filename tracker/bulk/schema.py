"""Tracks as rows of Parquet, and back: a row for each point, or one for each video.

All rows begin with the same columns, which tell of the video; a video that could not be tracked is
one row with an `error` and nothing in the columns after it. docs/guide/many.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tracker.errors import UserError
from tracker.points.tracks import Tracks

if TYPE_CHECKING:
    import pyarrow as pa

LAYOUTS = ("points", "videos")
"""What a row is."""

OF_VIDEO = {
    "key": "string",
    "id": "string",
    "uri": "string",
    "settings": "string",
    "tracker": "string",
    "width": "int32",
    "height": "int32",
    "fps": "float64",
    "start": "int64",
    "stride": "int64",
    "frames": "int32",
    "seconds": "float64",
    "warning": "string",
    "error": "string",
}
"""Columns of both layouts, and their types as Arrow calls them."""

OF_POINT = {
    "point": "int32",
    "name": "string",
    "query_frame": "int32",
    "query_x": "float32",
    "query_y": "float32",
    "x": "list<float>",
    "y": "list<float>",
    "visible": "list<bool>",
    "confidence": "list<float>",
}
"""Columns of the layout `points`; lists have an item for each frame."""

OF_POINTS = {
    "points": "int32",
    "names": "list<string>",
    "query_frame": "list<int32>",
    "query_x": "list<float>",
    "query_y": "list<float>",
    "x": "list<float>",
    "y": "list<float>",
    "visible": "list<bool>",
    "confidence": "list<float>",
}
"""Columns of the layout `videos`; the last four lists have an item for each frame of the first
point, then of the second ..."""


@dataclass(frozen=True)
class VideoFacts:
    """What the rows of a video tell of it, whether it was tracked or not.

    Attributes:
        key: of this video under these settings and this tracker.
        id: as the source names it.
        uri: of the video.
        settings: fingerprint of what was asked for.
        tracker: fingerprint of what tracked.
        seconds: that it took, opening it included.
        warning: lines that told of it, or None.
        error: why it was not tracked, or None.
    """

    key: str
    id: str
    uri: str
    settings: str
    tracker: str
    seconds: float
    warning: str | None = None
    error: str | None = None


def schema(layout: str) -> pa.Schema:
    """Return the columns of a layout, one of `LAYOUTS`."""
    import pyarrow as pa

    columns = OF_VIDEO | (OF_POINT if layout == "points" else OF_POINTS)

    def kind(name: str) -> pa.DataType:
        inner = name.removeprefix("list<").removesuffix(">")
        plain = pa.float32() if inner == "float" else pa.type_for_alias(inner)
        return pa.list_(plain) if name.startswith("list<") else plain

    return pa.schema([(name, kind(text)) for name, text in columns.items()])


def rows_of(facts: VideoFacts, tracks: Tracks | None, layout: str) -> pa.Table:
    """Return the rows of a video.

    Args:
        facts: what they tell of it.
        tracks: None where there are none: `facts.error` says why.
        layout: one of `LAYOUTS`.
    """
    import pyarrow as pa

    columns = schema(layout)
    told: dict[str, Any] = vars(facts).copy()
    if tracks is None:
        return pa.Table.from_pylist([told], columns)
    told |= {
        "width": tracks.size[0],
        "height": tracks.size[1],
        "fps": tracks.fps,
        "start": tracks.start,
        "stride": tracks.stride,
        "frames": tracks.num_frames,
    }
    arrays = _of_points(tracks) if layout == "points" else _of_video(tracks)
    count = len(tracks) if layout == "points" else 1
    repeated = {name: pa.array([told[name]] * count, columns.field(name).type) for name in OF_VIDEO}
    return pa.table(repeated | arrays, columns)


def _lists(values: np.ndarray) -> pa.ListArray:
    """Return rows `(N, T)` as N lists of T items."""
    import pyarrow as pa

    count, length = values.shape
    offsets = np.arange(count + 1, dtype=np.int32) * length
    return pa.ListArray.from_arrays(offsets, pa.array(values.reshape(-1)))


def _of_points(tracks: Tracks) -> dict[str, Any]:
    import pyarrow as pa

    names = [None] * len(tracks) if tracks.names is None else list(tracks.names)
    return {
        "point": pa.array(np.arange(len(tracks), dtype=np.int32)),
        "name": pa.array(names, pa.string()),
        **_columns(tracks, pa.array, _lists),
    }


def _of_video(tracks: Tracks) -> dict[str, Any]:
    import pyarrow as pa

    def whole(values: np.ndarray) -> pa.ListArray:
        return _lists(np.ascontiguousarray(values).reshape(1, -1))

    names = None if tracks.names is None else list(tracks.names)
    return {
        "points": pa.array([len(tracks)], pa.int32()),
        "names": pa.array([names], pa.list_(pa.string())),
        **_columns(tracks, whole, whole),
    }


def _columns(
    tracks: Tracks, one: Callable[[np.ndarray], Any], each: Callable[[np.ndarray], Any]
) -> dict[str, Any]:
    """Return the columns that both layouts have: `one` of `(N,)` and `each` of `(N, T)` arrays."""
    xy, queries = tracks.xy, tracks.queries
    return {
        "query_frame": one(queries[:, 0].astype(np.int32)),
        "query_x": one(queries[:, 1]),
        "query_y": one(queries[:, 2]),
        "x": each(xy[..., 0]),
        "y": each(xy[..., 1]),
        "visible": each(tracks.visible),
        "confidence": each(tracks.confidence),
    }


def tracks_in(rows: pa.Table) -> Tracks:
    """Return the tracks that the rows of one video hold, in either layout.

    Args:
        rows: of one `key`, in any order.

    Raises:
        UserError: there are none, or of several videos; or the video was not tracked.
    """
    import pyarrow as pa

    keys = set(rows["key"].to_pylist())
    if len(keys) != 1:
        raise UserError(f"there are rows of {len(keys)} videos; choose those of one key")
    first = rows.slice(0, 1).to_pylist()[0]
    if first["error"] is not None:
        raise UserError(f"video {first['id']} was not tracked: {first['error']}")
    if "point" in rows.column_names:
        rows = rows.sort_by("point")
        count, names = len(rows), rows["name"].to_pylist()
        names = None if None in names else names
    else:
        count, names = first["points"], first["names"]

    def values(name: str, length: int) -> np.ndarray:
        column = rows[name].combine_chunks()
        flat = column.flatten() if pa.types.is_list(column.type) else column
        return flat.to_numpy(zero_copy_only=False).reshape(count, length)

    length = first["frames"]
    queries = [values(f"query_{name}", 1) for name in ("frame", "x", "y")]
    return Tracks(
        np.stack([values("x", length), values("y", length)], axis=-1),
        values("visible", length),
        np.concatenate(queries, axis=1),
        (first["width"], first["height"]),
        first["fps"],
        values("confidence", length),
        names,
        first["start"],
        first["stride"],
    )
