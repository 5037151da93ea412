"""Rows of Parquet hold the tracks, bit for bit, in both layouts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from any_tracks import any_tracks
from hypothesis import given

from tracker.bulk.schema import LAYOUTS, VideoFacts, rows_of, schema, tracks_in
from tracker.errors import UserError
from tracker.points.tracks import Tracks

FACTS = VideoFacts("0123456789abcdef", "clip", "/videos/clip.mp4", "s", "t", 1.5)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "guide" / "many.md"


@pytest.mark.parametrize("layout", LAYOUTS)
@given(tracks=any_tracks())
def test_rows_give_back_the_tracks(layout: str, tracks: Tracks) -> None:
    rows = rows_of(FACTS, tracks, layout)
    assert rows.schema == schema(layout)
    assert len(rows) == (len(tracks) if layout == "points" else 1)
    if len(rows):
        assert tracks_in(rows) == tracks
        assert set(rows["id"].to_pylist()) == {"clip"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_video_that_failed_is_one_row(layout: str) -> None:
    failed = VideoFacts("0123456789abcdef", "clip", "/clip.mp4", "s", "t", 1.5, error="damaged")
    rows = rows_of(failed, None, layout)
    assert rows.schema == schema(layout)
    (row,) = rows.to_pylist()
    assert row["error"] == "damaged" and row["x"] is None and row["width"] is None
    with pytest.raises(UserError, match="was not tracked: damaged"):
        tracks_in(rows)


def test_rows_of_several_videos_are_no_tracks(tmp_path: Path) -> None:
    one = rows_of(FACTS, None, "points")
    other = one.set_column(0, "key", pa.array(["f" * 16]))
    with pytest.raises(UserError, match="of 2 videos"):
        tracks_in(pa.concat_tables([one, other]))


def test_any_reader_of_parquet_reads_them(tmp_path: Path) -> None:
    tracks = Tracks([[[1, 2], [3, 4]]], [[True, False]], [[0, 1, 2]], (8, 6), names=["eye"])
    pq.write_table(rows_of(FACTS, tracks, "points"), tmp_path / "rows.parquet")
    frame = pq.read_table(tmp_path / "rows.parquet").to_pandas()
    assert frame.loc[0, "x"].tolist() == [1, 3] and frame.loc[0, "name"] == "eye"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_column_is_documented(layout: str) -> None:
    text = DOCUMENT.read_text()
    assert not [name for name in schema(layout).names if f"`{name}`" not in text]
