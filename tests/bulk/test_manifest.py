"""Which videos sources name: folders, patterns, single files, manifests; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracker.bulk.manifest import VideoRow, find_videos
from tracker.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of names; nothing is opened before a worker does."""
    for name in ("b.mp4", "a.MOV", "deep/c.mkv", "notes.txt", "._d.mp4", "e.npy"):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "videos"


def uris(*sources: object) -> list[str]:
    return [row.uri for row in find_videos([str(source) for source in sources])]


def test_a_folder_stands_for_all_videos_below(folder: Path) -> None:
    assert uris(folder) == [str(folder / name) for name in ("a.MOV", "b.mp4", "deep/c.mkv")]


def test_patterns_and_files(folder: Path) -> None:
    assert uris(folder / "*.mp4") == [str(folder / "b.mp4")]
    assert uris(folder / "*.npy") == [str(folder / "e.npy")]
    assert uris(f"file://{folder}/e.npy", folder / "*.npy") == [str(folder / "e.npy")]
    assert uris("https://host.invalid/clip.mp4") == ["https://host.invalid/clip.mp4"]


def test_names_do_not_depend_on_where_the_program_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert uris("deep") == [str(folder / "deep/c.mkv")]


def test_a_manifest_says_all_of_a_row(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text(
        "id,uri,start,stop,queries,note\n"
        'one,clips/a.mp4,5,20,points.csv,"x,y"\n'
        'two,s3://bucket/b.mp4,,,"[[0, 1, 2]]",\n'
        ",/c.mp4,,,,\n"
    )
    assert find_videos([str(tmp_path / "all.csv")], start=2, stop=9) == [
        VideoRow(f"{tmp_path}/clips/a.mp4", "one", 5, 20, f"{tmp_path}/points.csv"),
        VideoRow("s3://bucket/b.mp4", "two", 2, 9, "[[0, 1, 2]]"),
        VideoRow("/c.mp4", "/c.mp4", 2, 9, None),
    ]


def test_parquet_says_the_same(tmp_path: Path) -> None:
    table = {
        "uri": ["a.mp4", "b.mp4"],
        "id": [7, 8],
        "start": [None, 3],
        "queries": [[[0, 1.5, 2]], None],
    }
    pq.write_table(pa.table(table), tmp_path / "all.parquet")
    rows = find_videos([str(tmp_path / "all.parquet")])
    assert [(row.id, row.start) for row in rows] == [("7", 0), ("8", 3)]
    assert json.loads(rows[0].queries or "") == [[0, 1.5, 2]] and rows[1].queries is None


def test_a_file_of_queries_for_each_video(folder: Path) -> None:
    rows = find_videos([str(folder / "b.mp4")], queries="s3://points/{name}.csv")
    assert rows[0].queries == "s3://points/b.csv"
    rows = find_videos([str(folder / "b.mp4")], queries="points/{name}.csv")
    assert rows[0].queries == str(Path("points/b.csv").absolute())


BAD = {
    "id,start\n1,2\n": "has no column uri, but id, start",
    "": "has no column uri, but none",
    "uri\n": "no video in",
    "uri,id\n,4\n": "row 1 of manifest .* has no uri",
    "uri,id\na.mp4,x\nb.mp4,x\n": "two rows have the id x",
    "uri,start\na.mp4,1\na.mp4,2\n": "two rows have the id .*a.mp4",
    "uri,start\na.mp4,-1\n": "start in row 1 of manifest .* is '-1'",
    "uri,stop\na.mp4,1.5\n": "stop in row 1 of manifest .* is '1.5'",
    "uri,stop\na.mp4,inf\n": "stop in row 1 of manifest .* is 'inf'",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_manifests_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(UserError, match=BAD[text]):
        find_videos([str(tmp_path / "bad.csv")])


def test_damaged_and_missing_manifests_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing else")
    (tmp_path / "bad.csv").write_bytes(b"uri\n\xff\xfe\n")
    for name, words in (
        ("bad.parquet", "cannot be read"),
        ("bad.csv", "cannot be read"),
        ("none.csv", "does not exist"),
    ):
        with pytest.raises(UserError, match=words):
            find_videos([str(tmp_path / name)])


def test_sources_without_videos_are_refused(tmp_path: Path) -> None:
    for source, words in (
        (str(tmp_path), "no video in"),
        (str(tmp_path / "*.mp4"), "no video in"),
        (str(tmp_path / "none.mp4"), "none.mp4 does not exist"),
        ("memory://nothing/here", "does not exist"),
        ("tftp://host/clip.mp4", "cannot be opened"),
    ):
        with pytest.raises(UserError, match=words):
            find_videos([source])
