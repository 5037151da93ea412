"""Tables, as pandas and pyarrow read them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from any_tracks import any_tracks, three_points
from hypothesis import given, settings

from tracker.formats.registry import save_tracks
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks())
def test_csv_gives_back_the_same_tracks(
    tracks: Tracks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("csv") / "a.csv")
    assert Tracks.load(path) == tracks
    assert Tracks.load(tracks.save(path.with_suffix(".npz"))) == tracks


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks(least=1))
def test_wide_csv_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("wide") / "a.wide.csv")
    table = pd.read_csv(path)
    assert table.shape == (tracks.num_frames, 2 + 4 * len(tracks))
    frames = tracks.start + tracks.stride * np.arange(tracks.num_frames)
    np.testing.assert_array_equal(table["frame"], frames)
    np.testing.assert_allclose(table["time"] * tracks.fps * tracks.stride, frames)
    cells = table.to_numpy(float)[:, 2:].reshape(tracks.num_frames, len(tracks), 4)
    np.testing.assert_array_equal(cells[..., :2].astype(np.float32), tracks.xy.transpose(1, 0, 2))
    np.testing.assert_array_equal(cells[..., 2] > 0, tracks.visible.T)
    np.testing.assert_array_equal(cells[..., 3].astype(np.float32), tracks.confidence.T)


def check_table(table: pd.DataFrame, tracks: Tracks) -> None:
    """A long table says what tracks do."""
    shape = tracks.visible.shape
    xy = table[["x", "y"]].to_numpy(np.float32).reshape(*shape, 2)
    np.testing.assert_array_equal(xy, tracks.xy)
    np.testing.assert_array_equal(table["visible"].to_numpy().reshape(shape), tracks.visible)
    np.testing.assert_array_equal(table["confidence"].to_numpy().reshape(shape), tracks.confidence)
    video_frames = tracks.start + tracks.stride * table["frame"].to_numpy()
    np.testing.assert_array_equal(table["video_frame"], video_frames)
    names = tracks.names or [""] * len(tracks)
    assert table["name"].tolist() == [names[point] for point in table["point"]]


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks())
def test_pandas_and_parquet(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    check_table(tracks.to_pandas(), tracks)
    path = save_tracks(tracks, tmp_path_factory.mktemp("parquet") / "a.parquet")
    check_table(pd.read_parquet(path), tracks)
    facts = json.loads(pq.read_schema(path).metadata[b"vjepa-tracker"])
    assert (facts["start"], facts["stride"]) == (tracks.start, tracks.stride)
    assert (tuple(facts["size"]), facts["fps"]) == (tracks.size, tracks.fps)


def test_a_data_frame_pivots() -> None:
    table = three_points().to_pandas()
    x = table[table["visible"]].pivot(index="video_frame", columns="point", values="x")
    assert x.index.tolist() == [100, 102, 104, 106]
    assert x[0].tolist() == [0.5, 1.5, 2.5, 63.5] and x[1].isna().sum() == 2
    assert table["time"].iloc[1] == pytest.approx(102 / 24)


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks())
def test_json_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("json") / "a.json")
    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert len(content["tracks"]) == len(tracks)
    for point, entry in enumerate(content["tracks"]):
        xy = np.array(entry["xy"], np.float32).reshape(-1, 2)
        np.testing.assert_array_equal(xy, tracks.xy[point])
        np.testing.assert_array_equal(entry["visible"], tracks.visible[point])
    queries = Queries.load(path)
    np.testing.assert_array_equal(queries.txy, tracks.queries)
    assert (queries.names or ("",) * len(tracks)) == (tracks.names or ("",) * len(tracks))


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks(least=1))
def test_lerobot_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("robot") / "a.lerobot.parquet")
    table = pq.read_table(path)
    facts = json.loads(table.schema.metadata[b"lerobot"])
    rows = table.to_pydict()
    for key, feature in facts["features"].items():
        (width,) = feature["shape"]
        assert len(feature["names"]) == width
        assert all(len(row) == width for row in rows[key])
    xy = np.array(rows["observation.points"], np.float32)
    xy = xy.reshape(tracks.num_frames, len(tracks), 2)
    np.testing.assert_array_equal(xy.transpose(1, 0, 2), tracks.xy)
    np.testing.assert_array_equal(np.transpose(rows["observation.points.visible"]), tracks.visible)
    np.testing.assert_allclose(
        np.array(rows["timestamp"]) * facts["fps"], rows["frame_index"], rtol=1e-5
    )


def test_lerobot_names_its_numbers(tmp_path: Path) -> None:
    table = pq.read_table(three_points().save(tmp_path / "a.lerobot.parquet"))
    features = json.loads(table.schema.metadata[b"lerobot"])["features"]
    assert features["observation.points"]["names"][:3] == ["left eye.x", "left eye.y", "point_1.x"]
    assert table["frame_index"].to_pylist() == [100, 102, 104, 106]
    assert set(table["episode_index"].to_pylist()) == {0}
