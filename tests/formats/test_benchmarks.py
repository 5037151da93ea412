"""TAP-Vid's pickle and VOT's folder protocol."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from any_tracks import any_tracks, assert_same_places, seen_places, three_points
from hypothesis import given, settings

from tracker.datasets.restricted_pickle import load_restricted
from tracker.errors import UserError
from tracker.formats.registry import save_tracks
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks(least=1))
def test_tapvid_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("tapvid") / "a.pkl")
    entry = load_restricted(path)["tracks"]
    back = Tracks.from_tapvid(entry, tracks.size, tracks.fps)
    np.testing.assert_allclose(back.xy, tracks.xy, atol=0.01)
    np.testing.assert_array_equal(back.visible, tracks.visible)


def read_outputs(path: Path) -> dict[str, list[str]]:
    """Return the lines of each `output_NAME.txt`."""
    with ZipFile(path) as archive:
        return {
            name.removeprefix("output_").removesuffix(".txt"): archive.read(name)
            .decode()
            .split("\n")[:-1]
            for name in archive.namelist()
        }


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks(least=1))
def test_vot_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    outputs = read_outputs(save_tracks(tracks, tmp_path_factory.mktemp("vot") / "a.vot.zip"))
    assert len(outputs) == len(tracks)
    length = tracks.start + tracks.stride * (tracks.num_frames - 1) + 1
    found = {}
    for point, lines in enumerate(outputs.values()):
        assert len(lines) == length
        for frame, line in enumerate(lines):
            if line != "0":
                x, y = map(float, line.split(","))
                found[point, frame] = (x + 0.5, y + 0.5)
    known = Tracks(tracks.xy, np.ones_like(tracks.visible), tracks.queries, tracks.size)
    expected = {
        (point, tracks.start + tracks.stride * t): place
        for (point, t), place in seen_places(known).items()
        if t >= tracks.queries[point, 0]
    }
    assert_same_places(found, expected)


def test_names_of_vot_are_letters_and_digits(tmp_path: Path) -> None:
    outputs = read_outputs(three_points().save(tmp_path / "a.vot.zip"))
    assert list(outputs) == ["left_eye", "point_1", "tail"]
    assert outputs["left_eye"][100:104] == ["0,0", "0", "1,0", "0"]


@pytest.fixture
def queries_of_vot(tmp_path: Path) -> Path:
    (tmp_path / "frames_color.txt").write_text("a.jpg\n")
    (tmp_path / "query_obj0.txt").write_text("0\n10.0,20.25\n")
    (tmp_path / "query_obj1.txt").write_text("12\n1,2\ndescription=nose\n")
    return tmp_path


@pytest.mark.parametrize("name", ["", "query_*.txt"])
def test_queries_of_vot(queries_of_vot: Path, name: str) -> None:
    queries = Queries.load(queries_of_vot / name)
    assert queries.txy.tolist() == [[0, 10.5, 20.75], [12, 1.5, 2.5]]
    assert queries.names == ("obj0", "obj1")


def test_one_query_of_vot(queries_of_vot: Path) -> None:
    assert Queries.load(queries_of_vot / "query_obj1.txt").txy.tolist() == [[12, 1.5, 2.5]]


@pytest.mark.parametrize("text", ["3\n1,2,30,40\n", "3\n0\n", "", "1,2\n3,4\n"])
def test_other_queries_of_vot_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "query_a.txt").write_text(text)
    with pytest.raises(UserError, match="not the query of a point"):
        Queries.load(tmp_path / "query_a.txt")
