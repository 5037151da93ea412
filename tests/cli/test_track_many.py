"""`vjepa-tracker track-many` as people call it: what it tells, and every kind of bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tracker.points.queries import Queries
from tracker.points.tracks import Tracks

LK = ("--tracker", "lk", "--grid", "2")


def test_a_folder_becomes_rows(run_cli: Callable, video_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run_cli("track-many", video_folder, "--out", out, *LK)
    assert done.code == 0, done.err
    assert "3 videos, 0 finished before; 3 to go" in done.out
    assert "2 videos tracked" in done.out and "1 errors" in done.out
    rows = pq.read_table(out / "shards")
    assert len(rows) == 9 and rows["error"].null_count == 8
    again = run_cli("track-many", video_folder, "--out", out, *LK, "--json")
    told = json.loads(again.out)
    assert (told["videos"], told["finished_before"], told["tracked"]) == (3, 3, 0)
    assert told["tracker"] == "lk" and told["place"] == str(out)


def test_options_for_points_are_those_of_track(
    run_cli: Callable, video_folder: Path, mask: Path, tmp_path: Path
) -> None:
    for number in range(2):
        (tmp_path / f"{number}.csv").write_text(f"t,x,y\n{number},0.25,0.5\n")
    videos = [video_folder / "0.mp4", video_folder / "1.mp4"]

    def rows(*options: object) -> list[dict]:
        done = run_cli(
            "track-many", *videos, "--out", tmp_path / "out", "--tracker", "lk", *options
        )
        assert done.code == 0 and "0 errors" in done.out, done
        settings = json.loads(
            run_cli(
                *("track-many", *videos, "--out", tmp_path / "out", "--tracker", "lk", *options),
                "--json",
            ).out
        )["settings"]
        table = pq.read_table(tmp_path / "out" / "shards").to_pylist()
        return [row for row in table if row["settings"] == settings]

    named = rows("--points", "eye=0,12,30")
    assert [(row["name"], row["query_x"]) for row in named] == [("eye", 12)] * 2
    own = rows("--queries", tmp_path / "{name}.csv", "--normalized")
    own.sort(key=lambda row: row["uri"])
    assert [(row["query_frame"], row["query_x"]) for row in own] == [(0, 24), (1, 24)]
    assert len(rows("--corners", "3", "--at", "2", "--start", "1", "--stop", "9")) <= 6
    assert len(rows("--grid", "1", "--query-frames", "0,5")) == 4


def test_the_learned_tracker(run_cli: Callable, clip: Path, tmp_path: Path) -> None:
    """The same tracks as `track` gives, with the fingerprint of its weights."""
    options = ("--points", "0,30,20", "--stop", "4", "--set", "inference.iterations=1")
    assert run_cli("track", clip, *options, "--out", tmp_path / "tracks.npz").code == 0
    done = run_cli(
        *("track-many", clip, *options, "--out", tmp_path / "out", "--rows", "videos"),
        *("--save", "png", "--json"),
    )
    assert done.code == 0, done.err
    (row,) = pq.read_table(tmp_path / "out" / "shards").to_pylist()
    tracks = Tracks.load(tmp_path / "tracks.npz")
    assert row["x"] == tracks.xy[0, :, 0].tolist() and row["y"] == tracks.xy[0, :, 1].tolist()
    assert row["tracker"] == json.loads(done.out)["tracker"] and len(row["tracker"]) == 16
    assert (tmp_path / "out" / "previews" / f"{row['key']}.png").is_file()


def bad_inputs(folder: Path) -> dict[str, tuple[list[object], str]]:
    (folder / "empty").mkdir()
    (folder / "photos").mkdir()
    (folder / "photos" / "bee.jpg").touch()
    (folder / "no_uri.csv").write_text("path,id\na.mp4,1\n")
    (folder / "twice.csv").write_text("uri,id\na.mp4,one\nb.mp4,one\n")
    (folder / "one.csv").write_text("uri\na.mp4\n")
    (folder / "file").touch()
    good, out = folder / "one.csv", folder / "out"
    return {
        "no video": ([folder / "empty", "--out", out], "no video in"),
        "no such source": ([folder / "none", "--out", out], "does not exist"),
        "no uri": ([folder / "no_uri.csv", "--out", out], "has no column uri, but path, id"),
        "one id twice": ([folder / "twice.csv", "--out", out], "two rows have the id one"),
        "something else in the sink": ([good, "--out", folder / "photos"], "bee.jpg"),
        "a file for a sink": ([good, "--out", folder / "file"], "is a file; name a folder"),
        "no folder can be made": ([good, "--out", folder / "file" / "in"], "file"),
        "a protocol that is none": ([good, "--out", "xyz://bucket/out"], "xyz://bucket/out"),
        "a source of such": (["xyz://bucket/in", "--out", out], "xyz://bucket/in"),
        "no such tracker": ([good, "--out", out, "--tracker", "none"], "no tracker is called"),
        "no workers": ([good, "--out", out, "--workers", "0"], "--workers 0"),
        "no such picture": ([good, "--out", out, "--save", "pdf"], "--save 'pdf'"),
        "points twice": ([good, "--out", out, "--grid", "2", "--corners", "2"], "exclude"),
        "no retries": ([good, "--out", out, "--retries", "-1"], "--retries"),
        "no such setting": ([good, "--out", out, "--set", "inference.blok=2"], "inference.blok"),
    }


def test_bad_input_is_one_line_and_writes_nothing(
    run_cli: Callable, refused: Callable, tmp_path: Path
) -> None:
    inputs = bad_inputs(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for arguments, words in inputs.values():
        refused(run_cli("track-many", *arguments), words)
        assert sorted(tmp_path.rglob("*")) == before, arguments


def test_rows_of_another_kind_are_refused_and_kept(
    run_cli: Callable, refused: Callable, video_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run_cli("track-many", video_folder, "--out", out, *LK).code == 0
    before = pq.read_table(out / "shards")
    command = ("track-many", video_folder, "--out", out, *LK)
    refused(run_cli(*command, "--rows", "videos"), "a row for each of its points")
    settings = out / "track-many.json"
    settings.write_text(settings.read_text().replace("confidence", "certainty"))
    refused(run_cli(*command), "another version")
    assert pq.read_table(out / "shards").equals(before)


def test_what_is_missing_is_named(
    run_cli: Callable,
    refused: Callable,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    done = run_cli("track-many", clip, "--out", tmp_path / "out", *LK, "--workers", "2")
    refused(done, "ray is not installed", "vjepa-tracker[bulk]")


def test_a_cluster_that_is_not_there_is_refused(
    run_cli: Callable, refused: Callable, clip: Path, tmp_path: Path
) -> None:
    done = run_cli("track-many", clip, "--out", tmp_path / "out", *LK, "--ray", "127.0.0.1:1")
    refused(done, "Ray cannot join 127.0.0.1:1")


def test_queries_can_be_sent_to_workers() -> None:
    import pickle

    from tracker.cli.track_many import QueryChoice, build_parser
    from tracker.video.video import Video

    args = build_parser().parse_args(["a.mp4", "--out", "b", "--grid", "2"])
    sent = pickle.loads(pickle.dumps(QueryChoice(args)))
    import numpy as np

    video = Video.from_array(np.zeros((2, 40, 60, 3), np.uint8))
    assert sent(video, None) == Queries.grid(2, (60, 40))
