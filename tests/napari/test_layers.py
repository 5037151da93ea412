"""Places of napari's layers are the pixels that are seen there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from any_tracks import assert_same_places, seen_places, three_points
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("napari.layers", reason="needs the extra napari")

from napari.components import ViewerModel
from napari.layers import Image, Points
from napari.layers import Tracks as TracksLayer
from napari_builtins.io import napari_write_points

from tracker.errors import UserError
from tracker.napari.layers import (
    Anchor,
    dot_size,
    frame_of,
    moved_places,
    name_points,
    placement,
    position_rows,
    put_anchors,
    queries_of,
    track_rows,
)
from tracker.points.queries import Queries

SIZE = (16, 12)

scales = st.tuples(*[st.floats(0.25, 4)] * 3)
shifts = st.tuples(*[st.floats(-20, 20)] * 3)


def video(**options: object) -> Image:
    """Four frames in which each pixel has a value of its own."""
    width, height = SIZE
    frames = np.arange(4 * height * width, dtype=np.float32).reshape(4, height, width)
    return Image(frames, name="clip", **options)


@settings(deadline=None, max_examples=15)
@given(scales, shifts, scales, shifts, st.integers(0, 3), st.floats(0, 1), st.floats(0, 1))
def test_a_point_is_on_the_pixel_that_is_seen_under_it(
    scale: tuple,
    shift: tuple,
    other_scale: tuple,
    other_shift: tuple,
    t: int,
    right: float,
    down: float,
) -> None:
    viewer, layer = ViewerModel(), video(scale=scale, translate=shift)
    viewer.add_layer(layer)
    points = Points(ndim=3, scale=other_scale, translate=other_shift)
    # Somewhere in the picture, as napari has it: from half a pixel before the first centre.
    row, column = down * (SIZE[1] - 1e-3) - 0.499, right * (SIZE[0] - 1e-3) - 0.499
    world = layer.data_to_world((t, row, column))
    viewer.dims.set_current_step(0, t)
    points.add(points.world_to_data(world))
    queries = queries_of(points, layer)
    assert queries.t.tolist() == [t] and frame_of(world, layer) == t
    x, y = queries.xy[0]
    seen = layer.get_value(world, world=True)
    near_an_edge = min(abs(x - round(x)), abs(y - round(y))) < 1e-3
    assert near_an_edge or layer.data[t, int(y), int(x)] == seen
    np.testing.assert_allclose((x, y), (column + 0.5, row + 0.5), atol=1e-3)


def test_the_edge_of_a_pixel_is_half_a_pixel_from_its_centre() -> None:
    viewer, layer = ViewerModel(), video()
    viewer.add_layer(layer)
    viewer.dims.set_current_step(0, 1)
    points = Points([(1, 3, 5), (1, 3.49, 4.51), (1, 2.51, 5.49)])
    for (x, y), place in zip(queries_of(points, layer).xy, points.data, strict=True):
        assert (int(x), int(y)) == (5, 3) and layer.get_value(place) == layer.data[1, 3, 5]
    np.testing.assert_allclose(queries_of(points, layer).xy[0], (5.5, 3.5))


def test_names_make_anchors_and_some_are_hidden() -> None:
    features = pd.DataFrame({"name": ["nose", None, "nose"], "hidden": [False, False, True]})
    points = Points([(0, 1, 2), (1, 3, 4), (2, 0, 0)], features=features)
    name_points(points)
    queries = queries_of(points, video())
    assert queries.names == ("nose", "point 1", "nose")
    assert queries.hidden.tolist() == [False, False, True]
    nose, other = queries.points
    assert nose.places == ((0, 2.5, 1.5),) and nose.hidden == (2,) and other.name == "point 1"
    labelled = Points([(0, 1, 2)], features={"label": ["ear"]})
    assert queries_of(labelled, video()).names == ("ear",)
    assert queries_of(Points([(0, 1, 2)]), video()).names is None


def test_points_without_frames_are_refused() -> None:
    with pytest.raises(UserError, match="2 axes"):
        queries_of(Points([(1, 2)], name="flat"), video())


def test_anchors_are_added_or_replaced() -> None:
    layer = video(scale=(1, 2, 2), translate=(0, 5, 7))
    points = Points([(0, 1, 2)], features={"name": ["nose"], "size in mm": [3.0]})
    found = queries_of(points, layer)
    anchors = [
        Anchor("nose", 0, (3.5, 4.5)),
        Anchor("nose", 2, (1, 2), True),
        Anchor("ear", 2, (5, 6)),
    ]
    put_anchors(points, layer, anchors)
    queries = queries_of(points, layer)
    assert len(found) == 1 and queries.names == ("nose", "nose", "ear")
    np.testing.assert_allclose(queries.txy[[0, 2]], [[0, 3.5, 4.5], [2, 5, 6]], atol=1e-5)
    assert queries.hidden.tolist() == [False, True, False]
    assert points.features["size in mm"].tolist()[0] == 3.0


def test_tracks_lie_where_they_were_found() -> None:
    tracks = three_points()
    rows, features = track_rows(tracks)
    layer = TracksLayer(rows, features=features)
    assert len(layer.data) == tracks.visible.sum()
    for (point, t, y, x), confidence in zip(layer.data, layer.features["confidence"], strict=True):
        np.testing.assert_allclose((x + 0.5, y + 0.5), tracks.xy[int(point), int(t)])
        assert confidence == tracks.confidence[int(point), int(t)]
    rows, features = position_rows(tracks)
    positions = Points(rows, features=features)
    assert len(rows) == tracks.visible.size and not moved_places(positions, tracks)
    assert set(features["name"]) == {"left eye", "", "tail"}
    data = positions.data.copy()
    data[5] += (0, 2, 0.25)
    positions.data = np.delete(data, 2, axis=0)
    positions.features = pd.DataFrame(features).drop(index=2)
    ((moved, place),) = moved_places(positions, tracks).items()
    assert moved == (1, 1)
    np.testing.assert_allclose(place, tracks.xy[1, 1] + (0.25, 2))


def test_layers_on_a_video_have_its_pixels() -> None:
    layer = video(scale=(1, 2, 3), translate=(0, 5, 7), rotate=(0, 0, 30))
    points = Points([(1, 2, 3)], **placement(layer))
    np.testing.assert_allclose(queries_of(points, layer).txy, [[1, 3.5, 2.5]], atol=1e-5)
    assert dot_size(layer) == pytest.approx(SIZE[0] / 70, rel=0.1)


def test_napari_shows_what_is_exported_for_it(tmp_path: Path) -> None:
    tracks = three_points()
    table = pd.read_csv(tracks.save(tmp_path / "a.napari.csv"))
    layer = TracksLayer(table[["track_id", "t", "y", "x"]].to_numpy())
    found = {(int(p), int(t)): (x + 0.5, y + 0.5) for p, t, y, x in layer.data}
    assert_same_places(found, seen_places(tracks))


def test_points_that_napari_wrote_are_read(tmp_path: Path) -> None:
    points = Points([(3, 20, 10), (4, 0.25, 0)])
    written = napari_write_points(str(tmp_path / "points.csv"), points.data, {})
    np.testing.assert_allclose(Queries.load(written).txy, queries_of(points, video()).txy)
