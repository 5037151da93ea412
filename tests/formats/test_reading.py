"""Files that hold known places are told apart by what is in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from any_tracks import three_points

from tracker.errors import UserError
from tracker.formats.anchors import Anchors
from tracker.formats.reading import read_anchors, reader_of
from tracker.points.queries import Queries


def test_files_are_told_apart(tmp_path: Path) -> None:
    for suffix, name in [
        *[(".deeplabcut.csv", "deeplabcut"), (".slp", "sleap"), (".cvat.xml", "cvat")],
        *[(".napari.csv", "napari"), (".csv", None), (".npz", None), (".json", None)],
    ]:
        assert reader_of(three_points().save(tmp_path / f"a{suffix}")) == name
    (tmp_path / "points.csv").write_text("t,x,y\n0,1,2\n")
    assert reader_of(tmp_path / "points.csv") is None
    assert reader_of(tmp_path) is None


def test_tracks_of_an_earlier_run_are_queries(tmp_path: Path) -> None:
    tracks = three_points()
    for suffix in (".csv", ".npz", ".json"):
        queries = Queries.load(tracks.save(tmp_path / f"a{suffix}"))
        assert queries == Queries(tracks.queries, tracks.names)


def test_pickles_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"give the \.csv beside it"):
        Queries.load(three_points().save(tmp_path / "a.h5"))


@pytest.mark.parametrize("name", ["a.slp", "a.xml", "query_1.txt", "query_*.txt", "a.doc"])
def test_missing_files_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not exist|is not one of"):
        Queries.load(tmp_path / name)


def test_other_formats_hold_no_places(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of the formats deeplabcut, sleap"):
        read_anchors(three_points().save(tmp_path / "a.nk"))


def test_anchors_are_in_order_of_time() -> None:
    anchors = Anchors.of([(7, 1, 2, "a", False), (3, 4, 5, "b", True), (3, 6, 7, "", False)])
    assert anchors.names == ("b", "", "a") and anchors.hidden.tolist() == [True, False, False]
    assert anchors.of_seen_points().txy.tolist() == [[3, 6, 7], [7, 1, 2]]
    assert anchors.within(range(3, 9, 4)).txy[:, 0].tolist() == [0, 0, 1]
    assert len(Anchors.of([]).txy) == 0
