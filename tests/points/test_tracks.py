"""Tracks: round trips through files and resolutions, slices, equality."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.points.reading import read_queries
from tracker.points.storing import CSV_COLUMNS
from tracker.points.tracks import Tracks

NAME = st.text(max_size=6).filter(str.isprintable)


@st.composite
def tracks_strategy(draw: st.DrawFn, finite: bool = False, named: bool = False) -> Tracks:
    """Any tracks, down to no points or no frames, with NaN and infinite positions."""
    count, length = draw(st.integers(0, 4)), draw(st.integers(0, 5))
    anything = st.floats(-1e4, 1e4, width=32) if finite else st.floats(width=32)
    known = st.floats(-1e4, 1e4, width=32)
    return Tracks(
        draw(hnp.arrays(np.float32, (count, length, 2), elements=anything)),
        draw(hnp.arrays(bool, (count, length))),
        draw(hnp.arrays(np.float32, (count, 3), elements=known)),
        draw(st.tuples(st.integers(1, 4000), st.integers(1, 4000))),
        draw(st.floats(0.1, 1000)),
        draw(hnp.arrays(np.float32, (count, length), elements=st.floats(0, 1, width=32))),
        names=draw(st.none() | st.lists(NAME, min_size=count, max_size=count)) if named else None,
    )


XY = np.arange(2 * 5 * 2, dtype=np.float32).reshape(2, 5, 2)


def example() -> Tracks:
    visible = np.array([[1, 1, 0, 1, 1], [0, 0, 1, 1, 1]], bool)
    queries = np.array([[0, 0, 1], [2, 14, 15]])
    return Tracks(XY, visible, queries, (64, 48), 30.0)


@settings(deadline=None, max_examples=60)
@given(tracks=tracks_strategy())
@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_file_gives_back_the_same_tracks(
    suffix: str, tracks: Tracks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tracks") / f"tracks{suffix}"
    assert Tracks.load(tracks.save(path)) == tracks
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
@settings(deadline=None, max_examples=25)
@given(tracks=tracks_strategy(named=True))
def test_files_keep_names(
    suffix: str, tracks: Tracks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tracks") / f"tracks{suffix}"
    back = Tracks.load(tracks.save(path))
    assert back == tracks and back.names == tracks.names
    rows, names, _ = read_queries(path)
    np.testing.assert_array_equal(rows, tracks.queries)
    assert (None if names is None else tuple(names)) == tracks.names


def test_names_go_with_their_points() -> None:
    tracks = replace(example(), names=["eye", "tail"])
    assert tracks.names == ("eye", "tail") and tracks != example()
    assert tracks.select_points([1]).names == ("tail",)
    assert tracks.select_points(np.array([False, True])).names == ("tail",)
    assert tracks.select_frames(1, 3).names == tracks.names
    assert tracks.rescaled((10, 10)).names == tracks.names
    assert tracks.shown_from(0.5).names == tracks.names
    assert example().names is None and example().select_points([0]).names is None


@settings(deadline=None, max_examples=40)
@given(tracks=tracks_strategy(finite=True))
def test_tapvid_layout_round_trip(tracks: Tracks) -> None:
    entry = tracks.to_tapvid()
    if tracks.num_frames == 0:
        return
    back = Tracks.from_tapvid(entry, tracks.size, tracks.fps)
    np.testing.assert_allclose(back.xy, tracks.xy, rtol=1e-6, atol=1e-30)
    np.testing.assert_array_equal(back.visible, tracks.visible)
    for point in np.flatnonzero(tracks.visible.any(axis=1)):
        t = int(back.queries[point, 0])
        assert back.visible[point, t] and not back.visible[point, :t].any()
        np.testing.assert_array_equal(back.queries[point, 1:], back.xy[point, t])


@settings(deadline=None, max_examples=40)
@given(
    tracks=tracks_strategy(finite=True), size=st.tuples(st.integers(1, 999), st.integers(1, 999))
)
def test_rescaling_there_and_back(tracks: Tracks, size: tuple[int, int]) -> None:
    there = tracks.rescaled(size)
    assert there.size == size
    back = there.rescaled(tracks.size)
    np.testing.assert_allclose(back.xy, tracks.xy, rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(back.queries, tracks.queries, rtol=1e-5, atol=1e-30)


def test_corner_of_the_frame_stays_its_corner() -> None:
    tracks = Tracks(np.float32([[[64, 48]]]), [[True]], [[0, 64, 48]], (64, 48)).rescaled(
        (256, 256)
    )
    np.testing.assert_array_equal(tracks.xy, [[[256, 256]]])
    np.testing.assert_array_equal(tracks.queries, [[0, 256, 256]])


def test_slices() -> None:
    tracks = example()
    part = tracks.select_frames(1, 4)
    np.testing.assert_array_equal(part.xy, tracks.xy[:, 1:4])
    np.testing.assert_array_equal(part.visible, tracks.visible[:, 1:4])
    np.testing.assert_array_equal(part.queries[:, 0], [-1, 1])
    assert (part.start, replace(tracks, start=10, stride=3).select_frames(2).start) == (1, 16)
    one = tracks.select_points([1])
    assert len(one) == 1 and one.num_frames == 5
    np.testing.assert_array_equal(one.queries, tracks.queries[1:])
    assert tracks.select_frames(0) == tracks and tracks.select_points(slice(None)) == tracks


@settings(deadline=None, max_examples=60)
@given(tracks=tracks_strategy(named=True), cuts=st.lists(st.integers(0, 5), max_size=3))
def test_parts_join_to_the_whole(tracks: Tracks, cuts: list[int]) -> None:
    whole = np.column_stack([np.floor(tracks.queries[:, 0]), tracks.queries[:, 1:]])
    tracks = replace(tracks, queries=whole)
    edges = [0, *sorted(min(cut, tracks.num_frames) for cut in cuts), tracks.num_frames]
    parts = [tracks.select_frames(a, b) for a, b in pairwise(edges)]
    assert Tracks.concat(parts) == tracks


def test_parts_that_do_not_fit_are_refused() -> None:
    tracks = example()
    first, second = tracks.select_frames(0, 2), tracks.select_frames(2)
    with pytest.raises(UserError, match="part 1 does not go on"):
        Tracks.concat([second, first])
    with pytest.raises(UserError, match=r"part 1 is .*of another video"):
        Tracks.concat([first, replace(second, fps=3)])
    with pytest.raises(UserError, match=r"part 1 is .*1 points"):
        Tracks.concat([first, second.select_points([0])])
    with pytest.raises(UserError, match="no tracks to join"):
        Tracks.concat([])


@settings(deadline=None, max_examples=40)
@given(tracks=tracks_strategy(), certainty=st.floats(0, 1))
def test_shown_from_a_certainty_on(tracks: Tracks, certainty: float) -> None:
    shown = tracks.shown_from(certainty)
    for point in range(len(tracks)):
        for frame in range(tracks.num_frames):
            x, y = tracks.xy[point, frame]
            inside = 0 <= x <= tracks.size[0] and 0 <= y <= tracks.size[1]
            certain = tracks.confidence[point, frame] > certainty
            assert shown.visible[point, frame] == (inside and certain)
    np.testing.assert_array_equal(shown.xy, tracks.xy)


@pytest.mark.parametrize(
    "change", ["xy", "visible", "queries", "confidence", "size", "fps", "start", "stride"]
)
def test_equality_sees_every_field(change: str) -> None:
    fields = {name: getattr(example(), name) for name in Tracks.__dataclass_fields__}
    assert Tracks(**fields) == example()
    if change == "visible":
        fields[change] = ~fields[change]
    elif change == "size":
        fields[change] = (64, 49)
    elif change in ("start", "stride"):
        fields[change] += 1
    else:
        fields[change] = fields[change] + 0.25
    assert Tracks(**fields) != example()


def test_confidence_defaults_to_visibility() -> None:
    np.testing.assert_array_equal(example().confidence, example().visible.astype(np.float32))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("xy", np.zeros((2, 5))),
        ("visible", np.ones((2, 4), bool)),
        ("queries", np.zeros((3, 3))),
        ("confidence", np.zeros((5, 2))),
    ],
)
def test_shapes_that_do_not_fit_are_refused(field: str, value: np.ndarray) -> None:
    fields = {name: getattr(example(), name) for name in Tracks.__dataclass_fields__}
    with pytest.raises(UserError, match=field):
        Tracks(**{**fields, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("xy", "positions"),
        ("xy", [[[1, 2]], [[1]]]),
        ("queries", None),
        ("confidence", "sure"),
        ("size", 64),
        ("size", (64, 48, 3)),
        ("size", (0, 48)),
        ("fps", "fast"),
        ("fps", 0),
        ("fps", float("nan")),
        ("start", "first"),
        ("stride", 0),
    ],
)
def test_what_is_no_number_is_refused(field: str, value: object) -> None:
    fields = {name: getattr(example(), name) for name in Tracks.__dataclass_fields__}
    with pytest.raises(UserError):
        Tracks(**{**fields, field: value})


def test_csv_is_a_plain_table(tmp_path: Path) -> None:
    tracks = example()
    path = tracks.save(tmp_path / "t.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 5 and None not in rows[0]
    row = {name: float(cell) for name, cell in rows[7].items()}  # point 1 in frame 2
    assert row == {
        **{"point": 1, "frame": 2, "x": 14, "y": 15, "visible": 1, "confidence": 1},
        **{"query_frame": 2, "query_x": 14, "query_y": 15, "width": 64, "height": 48, "fps": 30},
    }
    assert rows[7]["visible"] == "1"  # a whole number, not 1.0 or True


def test_csv_reads_with_a_bare_read_csv(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(example().save(tmp_path / "t.csv"))
    x = table.pivot(index="point", columns="frame", values="x")
    np.testing.assert_array_equal(x, XY[..., 0])
    assert [table[name].dtype.kind for name in ("point", "visible", "x")] == ["i", "i", "f"]
    table.to_csv(tmp_path / "again.csv", index=False)  # and what pandas writes reads as well
    assert Tracks.load(tmp_path / "again.csv") == example()


@settings(deadline=None, max_examples=30)
@given(tracks=tracks_strategy())
@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_saved_tracks_are_a_query_file(
    suffix: str, tracks: Tracks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = np.column_stack([np.floor(tracks.queries[:, 0]), tracks.queries[:, 1:]])
    tracks = replace(tracks, queries=whole)
    path = tracks.save(tmp_path_factory.mktemp("tracks") / f"t{suffix}")
    assert Queries.load(path) == Queries(tracks.queries)


@pytest.mark.parametrize("lines", [[0, 2, 1], [0, 1, 2, 4], [0, *range(2, 11)]])
def test_csv_with_rows_missing_or_out_of_order_is_refused(lines: list[int], tmp_path: Path) -> None:
    written = example().save(tmp_path / "t.csv").read_text().splitlines()
    (tmp_path / "t.csv").write_text("\n".join(written[i] for i in lines) + "\n")
    with pytest.raises(UserError, match=r"t\.csv.*every point in every frame"):
        Tracks.load(tmp_path / "t.csv")


HEADER = ",".join(CSV_COLUMNS).encode() + b"\n"

BAD_FILES = {
    "empty.npz": b"",
    "text.npz": b"hello",
    "cut.npz": b"PK\x03\x04",
    "empty.csv": b"",
    "other.csv": b"a,b\n1,2\n",
    "binary.csv": bytes(range(256)),
    "header.csv": HEADER,
    "words.csv": HEADER + b"0,0,left,1,1,1,0,1,1,64,48,30\n",
    "short.csv": HEADER + b"0,0,1,1,1,1,0,1,1\n",
    "tracks.txt": b"",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_what_is_not_tracks_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BAD_FILES[name])
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        Tracks.load(tmp_path / name)


def test_missing_file_and_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        Tracks.load(tmp_path / "t.npz")
    with pytest.raises(UserError, match=r"\.npz or \.csv"):
        example().save(tmp_path / "t.doc")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        example().save(tmp_path / "file" / "t.npz")


def test_no_pickles(tmp_path: Path) -> None:
    fields = {name: getattr(example(), name) for name in Tracks.__dataclass_fields__}
    np.savez(tmp_path / "t.npz", **{**fields, "xy": fields["xy"].astype(object)})
    with pytest.raises(UserError, match="not a tracks file"):
        Tracks.load(tmp_path / "t.npz")
