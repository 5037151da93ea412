"""Points layers as queries and anchors, and tracks as Tracks and Points layers.

napari counts (frame, row, column) from the centre of the first pixel; x and y are counted from its
corner, so that x is column + 0.5. A layer may be scaled and moved: places go through napari's world
to the pixels of the video's layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks

if TYPE_CHECKING:
    from napari.layers import Image, Points

CENTRE = 0.5
"""Where the centre of the first pixel lies, in pixels from its corner."""

MOVED = 0.01
"""Pixels from which on a point counts as moved by hand."""


NAMES = {"string": "{name}", "color": "white", "size": 9, "anchor": "upper_left"}
"""How a Points layer writes the names of its points."""


@dataclass(frozen=True)
class Anchor:
    """What is known of a point in a frame.

    Attributes:
        name: of the point.
        t: frame.
        place: x and y in pixels of the video.
        hidden: whether the point is not to be seen there; `place` says where its mark is put.
    """

    name: str
    t: int
    place: tuple[float, float]
    hidden: bool = False


def names_of(layer: Points) -> list[str]:
    """Return the points' names in the features `name` or `label`, empty where there are none."""
    features = layer.features
    column = next((c for c in ("name", "label") if c in features), None)
    if column is None:
        return [""] * len(features)
    return ["" if value is None or value != value else str(value) for value in features[column]]


def hidden_of(layer: Points) -> np.ndarray:
    """Return `(N,) bool`, the feature `hidden`."""
    if "hidden" not in layer.features:
        return np.zeros(len(layer.data), bool)
    return layer.features["hidden"].fillna(False).to_numpy(bool)


def name_points(layer: Points) -> None:
    """Give names to the points of a layer that have none: `point 1`, `point 2` ..."""
    names = names_of(layer)
    free = (f"point {n}" for n in range(1, 2 * len(names) + 1) if f"point {n}" not in names)
    _set_features(layer, [name or next(free) for name in names], hidden_of(layer))


def name_selected(layer: Points, name: str) -> None:
    """Give a name to the selected points of a layer, and to those that are added next."""
    selected = layer.selected_data
    names = [name if row in selected else known for row, known in enumerate(names_of(layer))]
    _set_features(layer, names, hidden_of(layer))
    layer.feature_defaults = layer.feature_defaults.assign(name=name)


def keep_apart(layer: Points, added: Sequence[int]) -> None:
    """Take their names from added points whose names other points of their frames have already.

    napari gives a point that is added the features of the one that was selected last. In another
    frame that makes an anchor of it, in the same frame it is another point.

    Args:
        layer: whose points were added.
        added: rows, counted from the end where negative.
    """
    names, hidden = names_of(layer), hidden_of(layer).copy()
    frames = np.rint(layer.data[:, 0])
    for row in (range(len(names))[row] for row in added):
        taken = {names[other] for other in np.flatnonzero(frames == frames[row]) if other != row}
        names[row] = "" if names[row] in taken else names[row]
        hidden[row] = False
    _set_features(layer, names, hidden)


def queries_of(points: Points, video: Image) -> Queries:
    """Return the points of a layer as queries; those of one name are anchors of one point.

    Args:
        points: with three axes; features `name` and `hidden` where points have them.
        video: layer that they lie on.

    Raises:
        UserError: they have other axes.
    """
    if points.ndim != 3:
        raise UserError(
            f"layer {points.name!r} has {points.ndim} axes; points of a video have three: frame, "
            "row, column; press New points"
        )
    txy = [_pixel(points, video, place) for place in points.data]
    names = names_of(points)
    named = names if any(names) else None
    return Queries(np.reshape(txy, (-1, 3)), named, hidden_of(points))


def frame_of(world: Sequence[float], video: Image) -> int:
    """Return the frame of a video that is seen at a place of napari's world."""
    return round(float(video.world_to_data(world)[0]))


def put_anchors(points: Points, video: Image, anchors: Sequence[Anchor]) -> None:
    """Add anchors to a layer; those of the same name and frame are replaced."""
    names, hidden = names_of(points), hidden_of(points).tolist()
    data = [*points.data]
    frames = [int(_pixel(points, video, place)[0]) for place in data]
    for anchor in anchors:
        x, y = anchor.place
        place = points.world_to_data(video.data_to_world((anchor.t, y - CENTRE, x - CENTRE)))
        known = zip(names, frames, strict=True)
        row = next((row for row, at in enumerate(known) if at == (anchor.name, anchor.t)), None)
        if row is None:
            data.append(place)
            names.append(anchor.name)
            frames.append(anchor.t)
            hidden.append(anchor.hidden)
        else:
            data[row], hidden[row] = place, anchor.hidden
    points.selected_data = set()
    points.data = np.array(data)
    _set_features(points, names, hidden)


def track_rows(tracks: Tracks) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the rows of a Tracks layer, `(M, 4)` point, frame, row, column, and their features.

    Frames in which a point is not visible have no row.
    """
    point, t = np.nonzero(tracks.visible & np.isfinite(tracks.xy).all(axis=-1))
    x, y = (tracks.xy[point, t] - CENTRE).T
    rows = np.stack([point, t, y, x], axis=1).astype(np.float64)
    return rows, {"confidence": tracks.confidence[point, t]}


def position_rows(tracks: Tracks) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the rows of a Points layer, `(N * T, 3)` frame, row, column, and their features.

    Every point has a row in every frame, whether it is seen there or not; the features are `point`,
    `name`, `confidence` and `shown`.
    """
    count, length = tracks.visible.shape
    point, t = (axis.ravel() for axis in np.indices((count, length)))
    x, y = np.moveaxis(tracks.xy.astype(np.float64) - CENTRE, -1, 0)
    names = np.array(tracks.names or [f"point {n + 1}" for n in range(count)], object)
    features = {
        "point": point,
        "name": names[point],
        "confidence": tracks.confidence.ravel(),
        "shown": tracks.visible.ravel(),
    }
    return np.stack([t, y.ravel(), x.ravel()], axis=1), features


def moved_places(positions: Points, tracks: Tracks) -> dict[tuple[int, int], tuple[float, float]]:
    """Return where points of `position_rows` were moved to by hand.

    Args:
        positions: the layer, in pixels of the video; rows may have been deleted.
        tracks: that it showed.

    Returns:
        x and y in pixels for each point and frame whose place is another now.
    """
    point, t, xy = places_of(positions)
    away = np.abs(xy - tracks.xy[point, t]).max(axis=1, initial=0) > MOVED
    return {(int(point[i]), int(t[i])): (xy[i, 0], xy[i, 1]) for i in np.flatnonzero(away)}


def places_of(positions: Points) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return point, frame and x, y in pixels, `(M, 2)`, of the rows of a `position_rows` layer."""
    data = positions.data
    point = positions.features["point"].to_numpy(int)
    return point, np.rint(data[:, 0]).astype(int), data[:, :0:-1] + CENTRE


def placement(video: Image) -> dict[str, Any]:
    """Return the options of a layer that lies on a video's layer, pixel on pixel."""
    options = ("affine", "rotate", "scale", "shear", "translate")
    return {option: getattr(video, option) for option in options}


def dot_size(video: Image) -> float:
    """Return a size for points that can be seen and picked in a video, in its pixels."""
    first, last = video.extent.data
    return float(max(last[1:] - first[1:])) / 70


def _pixel(layer: Points, video: Image, place: np.ndarray) -> tuple[int, float, float]:
    """Return frame, x and y of a place of a layer."""
    t, row, column = video.world_to_data(layer.data_to_world(place))
    return round(float(t)), float(column) + CENTRE, float(row) + CENTRE


def _set_features(layer: Points, names: Sequence[str], hidden: Sequence[bool] | np.ndarray) -> None:
    import pandas as pd

    features = layer.features.drop(columns=["name", "hidden"], errors="ignore")
    known = {"name": np.array(names, object), "hidden": np.array(hidden, bool)}
    layer.features = pd.concat([features, pd.DataFrame(known, index=features.index)], axis=1)
    # napari takes those of the last row, and points of one name are anchors.
    layer.feature_defaults = layer.feature_defaults.assign(name="", hidden=False)
