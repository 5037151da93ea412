"""Queries from points, grids, masks, files and corners."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tracker.errors import UserError
from tracker.points.geometry import inside_frame
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks

SIZES = st.tuples(st.integers(1, 2000), st.integers(1, 2000))
POINT = st.tuples(st.integers(0, 50), st.floats(0, 640, width=32), st.floats(0, 360, width=32))
POINTS = st.lists(POINT, min_size=1, max_size=8)


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 12), size=SIZES, t=st.integers(0, 99))
def test_grid_covers_the_frame_evenly(n: int, size: tuple[int, int], t: int) -> None:
    queries = Queries.grid(n, size, t).check(size, 100)
    assert len(queries) == n * n and set(queries.t) == {t}
    np.testing.assert_allclose(queries.xy.mean(0), np.divide(size, 2), rtol=1e-4)
    assert len(np.unique(queries.xy, axis=0)) == n * n


@settings(deadline=None, max_examples=40)
@given(points=POINTS, size=SIZES)
def test_scaling_there_and_back(points: list[tuple], size: tuple[int, int]) -> None:
    queries = Queries(np.array(points))
    back = queries.scaled((640, 360), size).scaled(size, (640, 360))
    np.testing.assert_allclose(back.txy, queries.txy, rtol=1e-5, atol=1e-3)
    assert queries.scaled((640, 360), (640, 360)) == queries


@settings(deadline=None, max_examples=25)
@given(points=POINTS)
def test_every_kind_of_file_gives_the_points_back(
    points: list[tuple], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("queries")
    queries = Queries(np.array(points))
    rows = queries.txy.tolist()
    named = [{"t": t, "x": x, "y": y, "label": "eye"} for t, x, y in rows]
    (folder / "rows.json").write_text(json.dumps(rows))
    (folder / "named.json").write_text(json.dumps(named))
    (folder / "keyed.json").write_text(json.dumps({"queries": rows}))
    lines = [f"{y!r},eye,{t!r},{x!r}" for t, x, y in rows]
    (folder / "points.csv").write_text("\ufeffy,label,t,x\r\n" + "\r\n".join(lines))
    np.savez(folder / "points.NPZ", queries=queries.txy)
    (folder / "points.NPZ.npz").rename(folder / "points.NPZ")
    for path in folder.iterdir():
        assert Queries.load(path) == queries, path.name
    written = [",".join(map(repr, row)) for row in rows]
    assert Queries.parse(written) == queries


NAMED = Queries([[0, 1, 2], [3, 4, 5], [6, 7, 8]], ["eye", "", "tail"])


def test_names_survive_all_that_is_done_to_queries(tmp_path: Path) -> None:
    assert NAMED.names == ("eye", "", "tail")
    assert NAMED[1:].names == ("", "tail") and NAMED[[2, 0]].names == ("tail", "eye")
    assert NAMED[np.array([True, False, True])].names == ("eye", "tail")
    assert NAMED.scaled((4, 4), (8, 8)).names == NAMED.names
    assert Queries(NAMED.txy) != NAMED and Queries(NAMED.txy)[:2].names is None
    rows = [f"{t},{x},{y},{name}" for (t, x, y), name in zip(NAMED.txy, NAMED.names, strict=True)]
    (tmp_path / "q.csv").write_text("\n".join(["t,x,y,name", *rows]))
    entries = [
        {"t": float(t), "x": float(x), "y": float(y), "name": name}
        for (t, x, y), name in zip(NAMED.txy, NAMED.names, strict=True)
    ]
    (tmp_path / "q.json").write_text(json.dumps(entries))
    np.savez(tmp_path / "q.npz", queries=NAMED.txy, names=np.array(NAMED.names))
    for path in tmp_path.iterdir():
        assert Queries.load(path) == NAMED, path.name


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a"], "1 names for 3 points"),
        ("abc", "not a list of texts"),
        ([1, 2, 3], "the name 1 of a point"),
        (["a", "b\n", "c"], "not one line of text"),
    ],
)
def test_what_is_no_list_of_names_is_refused(names: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Queries(NAMED.txy, names)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=40)
@given(points=POINTS, cut=st.integers(0, 8))
def test_parts_add_up_to_the_whole(points: list[tuple], cut: int) -> None:
    queries = Queries(np.array(points))
    assert queries[:cut] + queries[cut:] == queries
    assert Queries.concat(list(queries)) == queries
    assert queries[-1].txy.tolist() == queries.txy[-1:].tolist()
    np.testing.assert_array_equal(np.asarray(queries), queries.txy)
    with pytest.raises(IndexError):
        queries[len(queries)]


def test_points_without_a_name_get_an_empty_one() -> None:
    unnamed = Queries.grid(2, (8, 8))
    assert (unnamed + NAMED).names == ("", "", "", "", "eye", "", "tail")
    assert (unnamed + unnamed).names is None
    assert len(Queries.concat([])) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"points": []}', "holds no list"),
        ("5", "holds no list"),
        ('[{"time": 0, "x": 1, "y": 2}]', r'entry 0 is \{"time": 0'),
        ('[[0, 1, 2], ["0", 1, 2]]', r'entry 1 is \["0", 1, 2\]; write \[t, x, y\]'),
        ("[[0, null, 3]]", r"entry 0 is \[0, null, 3\]"),
    ],
)
def test_json_of_other_things_names_the_entry(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "q.json").write_text(text)
    with pytest.raises(UserError, match=words):
        Queries.load(tmp_path / "q.json")


def test_npz_of_other_things(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(UserError, match="needs an array named queries"):
        Queries.load(tmp_path / "other.npz")
    with pytest.raises(UserError, match=r"is no \.npz file"):
        Queries.load(tmp_path / "text.npz")


def test_json_without_frames_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "pairs.json").write_text("[[12, 40]]")
    with pytest.raises(UserError, match=r"entry 0 is \[12, 40\]; write \[t, x, y\]"):
        Queries.load(tmp_path / "pairs.json")


@pytest.mark.parametrize(
    ("txy", "words"),
    [
        ([[0, 10, 10], [0, 64.01, 10]], "query 1 is .*outside the frame of 64x48"),
        ([[0, 10, -0.01]], "outside the frame"),
        ([[60, 1, 1]], r"but the video has frames 0\.\.59"),
        ([[-1, 1, 1]], r"but the video has frames 0\.\.59"),
        (np.empty((0, 3)), "no query points"),
    ],
)
def test_check_names_the_first_query_outside(txy: list, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Queries(np.array(txy)).check((64, 48), 60)


def test_the_borders_of_the_frame_are_inside() -> None:
    assert len(Queries(np.array([[0, 0, 0], [59, 64, 48]])).check((64, 48), 60)) == 2


@pytest.mark.parametrize(
    ("txy", "words"),
    [
        ([[0, np.nan, 1]], "must be numbers"),
        ([[0, 1, 1], [np.nan, 1, 1]], "query 1"),
        ([[0, np.inf, 1]], "must be numbers"),
        ([[0.5, 1, 1]], "t must be a whole number"),
        ([[0, 1]], "rows of t, x, y"),
        ([0, 1, 2], "rows of t, x, y"),
    ],
)
def test_what_is_not_a_query_is_refused(txy: list, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Queries(np.array(txy))


@pytest.mark.parametrize("txy", ["points", [[0, 1, 2], [0, 1]], [["a", "b", "c"]], None])
def test_what_is_no_number_is_refused(txy: object) -> None:
    with pytest.raises(UserError, match="rows of"):
        Queries(txy)  # type: ignore[arg-type]


def test_mask_keeps_points_inside_it(tmp_path: Path) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 20:60] = 255
    mask[10:20, 20:40] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    queries = Queries.from_mask(tmp_path / "mask.png", (64, 48), n=4, t=3)
    assert len(queries) == 12  # a quarter of the bounding box is black
    assert all(mask[int(y), int(x)] for _, x, y in queries.txy)
    assert set(queries.t) == {3}


def test_dark_pixels_of_a_mask_are_not_its_white_part(tmp_path: Path) -> None:
    mask = np.full((48, 64), 12, np.uint8)
    Image.fromarray(mask).save(tmp_path / "dark.png")
    with pytest.raises(UserError, match=r"dark\.png has no white part"):
        Queries.from_mask(tmp_path / "dark.png", (64, 48))
    mask[10:30, 20:60] = 127
    mask[20:30, 20:60] = 128
    Image.fromarray(mask).save(tmp_path / "soft.png")
    queries = Queries.from_mask(tmp_path / "soft.png", (64, 48), n=4)
    assert len(queries) == 16 and queries.xy[:, 1].min() > 20


@settings(deadline=None, max_examples=40)
@given(data=st.data(), n=st.integers(1, 5))
def test_any_mask_gives_points_inside_it(data: st.DataObject, n: int) -> None:
    height, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    flat = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(flat).reshape(height, width)
    if not mask.any():
        with pytest.raises(UserError, match="no white part"):
            Queries.from_mask(mask, (width, height), n)
        return
    queries = Queries.from_mask(mask, (width, height), n)
    assert 1 <= len(queries) <= n * n
    assert all(mask[int(y), int(x)] for _, x, y in queries.txy)


def test_mask_of_another_size_or_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is 5x4 but the video is 64x48"):
        Queries.from_mask(np.ones((4, 5)), (64, 48))
    (tmp_path / "mask.png").write_text("not a picture")
    with pytest.raises(UserError, match=r"mask .*mask\.png cannot be read"):
        Queries.from_mask(tmp_path / "mask.png", (64, 48))
    with pytest.raises(UserError, match=r"nowhere\.png cannot be read"):
        Queries.from_mask(tmp_path / "nowhere.png", (64, 48))


def test_corners_are_found_where_they_are() -> None:
    frame = np.zeros((60, 80, 3), np.uint8)
    frame[20:40, 30:50] = 255  # corners of the square, in raster pixels
    queries = Queries.corners(frame, 4, t=2)
    expected = {(30, 20), (50, 20), (30, 40), (50, 40)}
    for corner in expected:
        assert np.abs(queries.xy - corner).max(axis=1).min() <= 1.0
    assert len(queries) == 4 and set(queries.t) == {2}
    # The square is symmetric about (40, 30): so must its corners be, or half a pixel was lost.
    np.testing.assert_allclose(queries.xy.mean(axis=0), (40, 30), atol=0.01)


def test_flat_frame_has_no_corners() -> None:
    with pytest.raises(UserError, match="no corners"):
        Queries.corners(np.full((40, 40, 3), 9, np.uint8), 5)


BAD_FILES = {
    "empty.csv": b"",
    "no_header.csv": b"0,1,2\n",
    "words.csv": b"t,x,y\n0,1,2\n0,one,2\n",
    "short_row.csv": b"t,x,y\n0,1\n",
    "nan.csv": b"t,x,y\n0,nan,2\n",
    "binary.csv": b"\xff\xfe\x00\x01",
    "empty.json": b"",
    "cut.json": b"[[0, 1,",
    "number.json": b"5",
    "null.json": b"null",
    "pairs.json": b"[[0, 1], [0, 2]]",
    "ragged.json": b"[[0, 1, 2], [0, 2]]",
    "nameless.json": b'[{"t": 0, "x": 1}]',
    "huge.json": b"[[0, 1, 1" + b"0" * 400 + b"]]",
    "deep.json": b"[" * 100_000,
    "nan.json": b"[[0, NaN, 1]]",
    "empty.npz": b"",
    "text.npz": b"t,x,y\n",
    "cut.npz": b"PK\x03\x04 and then nothing",
    "points.txt": b"0,1,2",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_malformed_file_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(BAD_FILES[name])
    with pytest.raises(UserError) as caught:
        Queries.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_malformed_csv_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(BAD_FILES["words.csv"])
    with pytest.raises(UserError, match="line 3"):
        Queries.load(tmp_path / "p.csv")


@settings(deadline=None, max_examples=60)
@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
def test_damaged_npz_never_raises_anything_but_a_user_error(
    position: float, value: int, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("npz") / "points.npz"
    np.savez_compressed(path, queries=np.arange(30, dtype=np.float32).reshape(10, 3))
    data = bytearray(path.read_bytes())
    place = int(position * len(data))
    data[place] = value
    path.write_bytes(data[:place] if cut else data)
    try:
        queries = Queries.load(path)
    except UserError as error:
        assert str(path) in str(error)
    else:
        assert queries.txy.shape[1] == 3


def test_npz_that_claims_to_be_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "points.npz"
    np.savez(path, queries=np.zeros((2, 3), np.float32))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    path.write_bytes(data)
    with pytest.raises(UserError, match="cannot be read"):
        Queries.load(path)


def test_npz_with_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", queries=np.array([[0, 1, 2]], object))
    with pytest.raises(UserError, match="cannot be read"):
        Queries.load(tmp_path / "p.npz")


def test_missing_file_and_bad_point_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.csv does not exist"):
        Queries.load(tmp_path / "nowhere.csv")
    with pytest.raises(UserError, match="point '1,2' is not t,x,y"):
        Queries.parse(["0,1,2", "1,2"])
    with pytest.raises(UserError, match="grid 0 holds no points"):
        Queries.grid(0, (64, 48))


def test_points_in_the_first_pixel_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    shares = Queries([[0, 0.4, 0.3], [0, 1, 0.8]])
    shares.check((64, 48), 1)
    assert "--normalized" in caplog.text and "first pixel of 64x48" in caplog.text
    caplog.clear()
    shares.scaled((1, 1), (64, 48)).check((64, 48), 1)
    Queries([[0, 0.4, 0.3], [0, 1, 1.8]]).check((64, 48), 1)
    Queries([[0, 0, 0]]).check((64, 48), 1)
    shares.check((1, 1), 1)
    assert not caplog.records


def earlier_run() -> Tracks:
    """Of 6 frames; point 1 leaves the frame at frame 3, point 2 is hidden from frame 1 on."""
    xy = np.zeros((4, 6, 2), np.float32) + np.float32([[[10, 10]], [[50, 20]], [[5, 5]], [[9, 9]]])
    xy[:, :, 0] += np.arange(6) * np.float32([[1], [5], [1], [0]])
    visible = inside_frame(xy, (64, 48))
    visible[2, 1:] = False
    visible[3, :4] = False
    queries = [[0, 10, 10], [0, 50, 20], [0, 5, 5], [5, 9, 9]]
    return Tracks(xy, visible, queries, (64, 48), names=["a", "b", "c", "d"])


def test_points_go_on_from_where_they_were_seen(caplog: pytest.LogCaptureFixture) -> None:
    tracks = earlier_run()
    queries = Queries.from_tracks(tracks, 2, (64, 48), 10)
    assert queries.names == ("a", "b", "d")
    assert queries.txy.tolist() == [[0, 12, 10], [0, 60, 20], [3, 9, 9]]
    assert "1 of 4 points were not seen from frame 2 on" in caplog.text
    queries = Queries.from_tracks(tracks, 4, (128, 96), 1)
    assert queries.txy.tolist() == [[0, 28, 20], [0, 18, 18]] and queries.names == ("a", "d")
    assert Queries.from_tracks(tracks, 0, (64, 48), 6) == Queries(tracks.queries, tracks.names)
    for start in (-1, 6):
        with pytest.raises(UserError, match=r"which have frames 0\.\.5"):
            Queries.from_tracks(tracks, start, (64, 48), 3)
    with pytest.raises(UserError, match="no point was seen from frame 3 on"):
        Queries.from_tracks(tracks.select_points([1, 2]), 3, (64, 48), 3)


@settings(deadline=None, max_examples=40)
@given(start=st.integers(0, 5), num_frames=st.integers(1, 8))
def test_queries_that_go_on_always_fit_the_new_video(start: int, num_frames: int) -> None:
    try:
        queries = Queries.from_tracks(earlier_run(), start, (64, 48), num_frames)
    except UserError as error:
        assert "no point was seen" in str(error)
    else:
        assert queries.check((64, 48), num_frames) is queries
