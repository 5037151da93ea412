"""`vjepa-tracker convert`, and formats of other programs in `track --save`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from any_tracks import three_points

from tracker.formats.registry import FORMATS
from tracker.points.tracks import Tracks


@pytest.fixture
def tracks_file(tmp_path: Path) -> Path:
    return three_points().save(tmp_path / "tracks.npz")


def test_every_format_beside_the_tracks(run_cli: Callable, tracks_file: Path) -> None:
    outcome = run_cli("convert", tracks_file, "--to", ",".join(FORMATS))
    assert outcome.code == 0, outcome.err
    names = {f"tracks{suffix}" for known in FORMATS.values() for suffix in known.suffixes}
    assert {path.name for path in tracks_file.parent.iterdir()} == names | {"tracks.npz"}
    assert len(outcome.out.splitlines()) == len(names)
    assert Tracks.load(tracks_file.with_suffix(".csv")) == three_points()


def test_help_has_a_line_for_each_format(run_cli: Callable) -> None:
    lines = run_cli("convert", "--help").out.split("\n")
    for name, known in FORMATS.items():
        (line,) = [line for line in lines if line.startswith(f"  {name} ")]
        assert known.summary in line and known.convention in line


def test_a_file_or_a_folder(run_cli: Callable, tracks_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "shot.nk"
    done = run_cli("convert", tracks_file, "--to", "nuke", "--out", out, "--first-frame", "1001")
    assert done.code == 0 and "first_frame 1001" in out.read_text()
    done = run_cli("convert", tracks_file, "--to", "nuke,ae", "--out", tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"tracks.nk", "tracks.ae.txt"}
    done = run_cli("convert", tracks_file, "--to", "deeplabcut", "--out", tmp_path / "a.csv")
    assert done.out == f"written: {tmp_path / 'a.csv'}\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--to", "nuk"], ["'nuk'", "the nearest is nuke"]),
        (["--to", ""], ["''", "there are csv"]),
        (["--to", "nuke,sleep"], ["'sleep'", "the nearest is sleap"]),
        (["--to", "nuke,ae", "--out", "a.nk"], ["one file for 2 formats"]),
        (["--to", "nuke", "--out", "a.txt"], ["files of nuke end in .nk"]),
        (["--to", "tapvid", "--first-frame", "1"], ["no numbers in tapvid"]),
        (["--to", "csv-wide,json"], ["tracks.json is there already", "--overwrite"]),
    ],
)
def test_bad_options_are_refused(
    run_cli: Callable, refused: Callable, tracks_file: Path, options: list, words: list
) -> None:
    there = tracks_file.with_suffix(".json")
    there.write_text("mine")
    refused(run_cli("convert", tracks_file, *options), *words)
    assert {path.name for path in tracks_file.parent.iterdir()} == {"tracks.npz", "tracks.json"}
    assert there.read_text() == "mine"


def test_overwrite_replaces(run_cli: Callable, tracks_file: Path) -> None:
    tracks_file.with_suffix(".json").write_text("mine")
    assert run_cli("convert", tracks_file, "--to", "json", "--overwrite").code == 0
    assert tracks_file.with_suffix(".json").read_text() != "mine"


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("no.npz", None, "does not exist"),
        ("bad.npz", b"hello", "is not a tracks file"),
        ("clip.mp4", b"", "read from .npz or .csv"),
    ],
)
def test_other_files_are_refused(
    run_cli: Callable, refused: Callable, tmp_path: Path, name: str, content: bytes, word: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(run_cli("convert", tmp_path / name, "--to", "nuke", "--out", tmp_path / "new"), word)
    assert not (tmp_path / "new").exists()


def test_track_saves_formats_that_count_frames_of_the_video(
    run_cli: Callable, clip: Path, tmp_path: Path
) -> None:
    options = ["--tracker", "static", "--points", "1,10,20", "--start", "10", "--stride", "2"]
    save = ["--save", "npz,nuke,napari", "--out", tmp_path / "out"]
    outcome = run_cli("track", clip, *options, "--stop", "16", *save)
    assert outcome.code == 0, outcome.err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"tracks.npz", "tracks.nk", "tracks.napari.csv"}
    rows = (tmp_path / "out/tracks.napari.csv").read_text().split()
    assert [row.split(",")[1] for row in rows[1:]] == ["10", "12", "14"]
    assert "fps 24\n" in (tmp_path / "out/tracks.nk").read_text()
    tracks = Tracks.load(tmp_path / "out/tracks.npz")
    assert (tracks.start, tracks.stride, tracks.fps) == (10, 2, 12)


def test_track_writes_one_file_of_a_format(run_cli: Callable, clip: Path, tmp_path: Path) -> None:
    options = ["--tracker", "static", "--grid", "2", "--out", tmp_path / "a.nk"]
    assert run_cli("track", clip, *options).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.nk"]


def test_labels_are_tracked_in_the_frames_that_are_read(
    run_cli: Callable, clip: Path, tmp_path: Path
) -> None:
    labels = "scorer,a,a\nbodyparts,nose,nose\ncoords,x,y\nimg012.png,10,20\nimg031.png,3,4\n"
    (tmp_path / "CollectedData_a.csv").write_text(labels)
    options = ["--tracker", "static", "--start", "10", "--stop", "20", "--stride", "2"]
    queries = ["--queries", tmp_path / "CollectedData_a.csv"]
    outcome = run_cli("track", clip, *options, *queries, "--out", tmp_path / "a.npz")
    assert outcome.code == 0 and "1 of 2 marked places lie in other frames" in outcome.err
    tracks = Tracks.load(tmp_path / "a.npz")
    assert tracks.queries.tolist() == [[1, 10.5, 20.5]] and tracks.names == ("nose",)


def test_an_earlier_runs_formats_count_as_tracks(
    run_cli: Callable, refused: Callable, clip: Path, tmp_path: Path
) -> None:
    options = ["--tracker", "static", "--grid", "2", "--out", tmp_path]
    assert run_cli("track", clip, *options, "--save", "nuke").code == 0
    refused(run_cli("track", clip, *options, "--save", "csv"), "holds tracks", "--overwrite")
    assert run_cli("track", clip, *options, "--save", "csv", "--overwrite").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["tracks.csv"]
