"""napari's tables, and COLMAP's database as `pycolmap` reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pycolmap
import pytest
from any_tracks import any_tracks, assert_same_places, seen_places, three_points
from hypothesis import given, settings

from tracker.errors import UserError
from tracker.formats.reading import read_anchors
from tracker.formats.registry import save_tracks
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks())
def test_napari_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("napari") / "a.napari.csv")
    table = pd.read_csv(path)
    rows = table[["track_id", "t", "y", "x"]].to_numpy(float)  # what viewer.add_tracks takes
    np.testing.assert_array_equal(rows, rows[np.lexsort((rows[:, 1], rows[:, 0]))])
    found = {(int(point), int(t)): (x + 0.5, y + 0.5) for point, t, y, x in rows}
    assert_same_places(found, seen_places(tracks))
    anchors = read_anchors(path)
    back = sorted(map(tuple, anchors.txy.round(2).tolist()))
    expected = [
        (t, *np.float32(xy).round(2).tolist()) for (_, t), xy in seen_places(tracks).items()
    ]
    np.testing.assert_allclose(back, sorted(expected), atol=0.02)


def test_tables_of_napari_keep_names(tmp_path: Path) -> None:
    anchors = read_anchors(three_points().save(tmp_path / "a.napari.csv"))
    assert set(anchors.names) == {"left eye", "point_1", "tail"}


@pytest.mark.parametrize(
    ("text", "txy", "names"),
    [
        (
            "index,axis-0,axis-1,axis-2\n0,3,20,10.5\n1,4,0,0\n",
            [[3, 11, 20.5], [4, 0.5, 0.5]],
            None,
        ),
        ("index,axis-0,axis-1\n0,20,10.5\n", [[0, 11, 20.5]], None),
        ("index,axis-0,axis-1,axis-2,label\n0,3,20,10.5,nose\n", [[3, 11, 20.5]], ("nose",)),
        ("ID,T,Y,X\n7,3,20,10.5\n7,5,21,11.5\n", [[3, 11, 20.5], [5, 12, 21.5]], ("7", "7")),
    ],
)
def test_layers_of_napari_are_queries(
    text: str, txy: list, names: tuple | None, tmp_path: Path
) -> None:
    (tmp_path / "points.csv").write_text(text)
    queries = Queries.load(tmp_path / "points.csv")
    assert queries.txy.tolist() == txy and queries.names == names


def test_points_in_a_volume_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("index,axis-0,axis-1,axis-2,axis-3\n0,1,2,3,4\n")
    with pytest.raises(UserError, match="4 axes"):
        Queries.load(tmp_path / "a.csv")


@settings(deadline=None, max_examples=8)
@given(tracks=any_tracks(least=1))
def test_colmap_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("colmap") / "a.colmap.db")
    base = pycolmap.Database.open(str(path))
    try:
        (camera,) = base.read_all_cameras()
        assert (camera.width, camera.height) == tracks.size
        images = base.read_all_images()
        assert len(images) == tracks.num_frames
        found, rows = {}, {}
        for t, image in enumerate(sorted(images, key=lambda image: image.image_id)):
            frame = tracks.start + t * tracks.stride
            assert image.name == f"frame_{frame:06d}.png"
            points = [p for p, f in seen_places(tracks) if f == frame]
            keypoints = base.read_keypoints(image.image_id)
            assert len(keypoints) == len(points)
            for row, (point, place) in enumerate(zip(points, keypoints, strict=True)):
                found[point, frame] = tuple(place[:2])
                rows[image.image_id, row] = point
        assert_same_places(found, seen_places(tracks))
        for first, second in [(1, 2), (1, 3)]:
            if second > len(images):
                continue
            matches = base.read_matches(first, second)
            pairs = {(rows[first, a], rows[second, b]) for a, b in matches}
            shared = {p for i, p in rows.items() if i[0] == first}
            shared &= {p for i, p in rows.items() if i[0] == second}
            assert pairs == {(point, point) for point in shared}
    finally:
        base.close()


def test_frames_near_and_far_are_paired(tmp_path: Path) -> None:
    tracks = Tracks(np.ones((1, 6, 2)), np.ones((1, 6)), [[0, 1, 1]], (8, 8))
    base = pycolmap.Database.open(str(tracks.save(tmp_path / "a.db")))
    gaps = sorted(b - a for a in range(1, 7) for b in range(a + 1, 7) if base.exists_matches(a, b))
    base.close()
    assert gaps == [1] * 5 + [2] * 4 + [4] * 2
