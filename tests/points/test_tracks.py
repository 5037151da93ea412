"""Tracks: round trips through files and resolutions, slices, equality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks


@st.composite
def tracks_strategy(draw: st.DrawFn, finite: bool = False) -> Tracks:
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
    )


def example() -> Tracks:
    xy = np.arange(2 * 5 * 2, dtype=np.float32).reshape(2, 5, 2)
    visible = np.array([[1, 1, 0, 1, 1], [0, 0, 1, 1, 1]], bool)
    queries = np.array([[0, 0, 1], [2, 14, 15]])
    return Tracks(xy, visible, queries, (64, 48), 30.0)


@settings(deadline=None, max_examples=60)
@given(tracks=tracks_strategy())
@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_file_gives_back_the_same_tracks(
    suffix: str, tracks: Tracks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tracks") / f"tracks{suffix}"
    assert Tracks.load(tracks.save(path)) == tracks
    assert [p.name for p in path.parent.iterdir()] == [path.name]


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
    one = tracks.select_points([1])
    assert len(one) == 1 and one.num_frames == 5
    np.testing.assert_array_equal(one.queries, tracks.queries[1:])
    assert tracks.select_frames(0) == tracks and tracks.select_points(slice(None)) == tracks


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


@pytest.mark.parametrize("change", ["xy", "visible", "queries", "confidence", "size", "fps"])
def test_equality_sees_every_field(change: str) -> None:
    fields = {name: getattr(example(), name) for name in Tracks.__dataclass_fields__}
    assert Tracks(**fields) == example()
    if change == "visible":
        fields[change] = ~fields[change]
    elif change == "size":
        fields[change] = (64, 49)
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
    ],
)
def test_what_is_no_number_is_refused(field: str, value: object) -> None:
    fields = {name: getattr(example(), name) for name in Tracks.__dataclass_fields__}
    with pytest.raises(UserError):
        Tracks(**{**fields, field: value})


def test_csv_is_a_table_for_people(tmp_path: Path) -> None:
    lines = example().save(tmp_path / "t.csv").read_text().splitlines()
    assert lines[0].startswith("# width=64 height=48 fps=30.0")
    assert lines[1] == "point,frame,x,y,visible,confidence"
    assert lines[2] == "0,0,0.0,1.0,1,1.0" and len(lines) == 2 + 2 * 5


def test_saved_tracks_are_a_query_file(tmp_path: Path) -> None:
    tracks = example()
    assert Queries.load(tracks.save(tmp_path / "t.npz")) == Queries(tracks.queries)


BAD_FILES = {
    "empty.npz": b"",
    "text.npz": b"hello",
    "cut.npz": b"PK\x03\x04",
    "empty.csv": b"",
    "other.csv": b"a,b\n1,2\n",
    "binary.csv": bytes(range(256)),
    "short.csv": b"# width=4 height=4 fps=1 frames=2 queries=0,0,0\n"
    b"point,frame,x,y,visible,confidence\n0,0,1,1,1,1\n",
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
        example().save(tmp_path / "t.pkl")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        example().save(tmp_path / "file" / "t.npz")


def test_no_pickles(tmp_path: Path) -> None:
    fields = {name: getattr(example(), name) for name in Tracks.__dataclass_fields__}
    np.savez(tmp_path / "t.npz", **{**fields, "xy": fields["xy"].astype(object)})
    with pytest.raises(UserError, match="not a tracks file"):
        Tracks.load(tmp_path / "t.npz")
