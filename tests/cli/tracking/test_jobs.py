"""Several videos in one run of `track`, previews, and what scripts are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tracker.points.tracks import Tracks

FAST = ["--tracker", "static", "--stop", "4", "--save", "npz,csv"]


@pytest.fixture
def videos(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two videos and a file that is none; commands run beside it."""
    folder = tmp_path / "clips"
    (folder / "more").mkdir(parents=True)
    for name in ("a.mp4", "b.mp4", "more/a.mp4"):
        (folder / name).write_bytes(clip.read_bytes())
    (folder / "c.mp4").write_bytes(b"not a video")
    monkeypatch.chdir(tmp_path)
    return folder


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_each_video_has_its_folder_and_one_failure_stops_no_other(
    run_cli: Callable, videos: Path
) -> None:
    result = run_cli("track", "clips/*.mp4", "clips/more/a.mp4", *FAST, "--grid", "2")
    assert result.code == 2 and result.err.count("error: ") == 1
    assert "c.mp4" in result.err and "3 of 4 videos done" in result.out
    folders = ("a-2", "a", "b")
    expected = [f"{folder}/tracks.{kind}" for folder in folders for kind in ("csv", "npz")]
    assert written(videos.parent / "outputs") == expected


def test_out_is_the_folder_of_folders(run_cli: Callable, refused: Callable, videos: Path) -> None:
    command = ["track", videos / "a.mp4", videos / "more" / "a.mp4", *FAST, "--grid", "2"]
    assert run_cli(*command, "--out", "tracked").code == 0
    out = videos.parent / "tracked"
    expected = [f"{name}/tracks.{kind}" for name in ("a-2", "a") for kind in ("csv", "npz")]
    assert written(out) == expected
    again = run_cli(*command, "--out", "tracked")
    assert again.code == 2 and again.err.count("--overwrite") == 2
    assert run_cli(*command, "--out", "tracked", "--overwrite").code == 0
    assert written(out) == expected
    refused(run_cli(*command[:-2], "--out", "x.npz"), "x.npz", "one file for several videos")


def test_what_is_wrong_with_the_options_is_told_once(
    run_cli: Callable, refused: Callable, videos: Path
) -> None:
    both = ["track", videos / "a.mp4", videos / "b.mp4"]
    refused(run_cli(*both, "--grid", "2", "--corners", "3"), "--corners and --grid")
    refused(run_cli(*both, "--save", "doc"), "--save 'doc'")
    refused(run_cli(*both, "--tracker", "vejpa"), "vejpa")
    assert not (videos.parent / "outputs").exists()


def test_json_is_all_that_is_on_stdout(run_cli: Callable, videos: Path) -> None:
    points = ["--points", "left eye=0,20.5,10", "2,8,9"]
    result = run_cli("track", videos / "a.mp4", videos / "c.mp4", *FAST, *points, "--json")
    told = json.loads(result.out)
    assert result.code == 2 and told["failed"] == 1
    tracked, failed = told["videos"]
    assert tracked["video"] == str(videos / "a.mp4") and tracked["names"] == ["left eye", ""]
    assert (tracked["size"], tracked["frames"], tracked["points"]) == ([64, 48], 4, 2)
    assert (tracked["tracker"], tracked["visible"]) == ("static", 1)
    assert [Path(path).is_file() for path in tracked["files"]] == [True, True]
    assert failed.keys() == {"video", "error"} and failed["error"] in result.err
    assert "tracked in" in result.err and "written: " in result.err


def test_quiet_prints_errors_alone(run_cli: Callable, videos: Path) -> None:
    result = run_cli("track", videos / "a.mp4", *FAST, "--grid", "2", "--quiet")
    assert (result.code, result.out, result.err) == (0, "", "")
    result = run_cli("track", videos / "a.mp4", *FAST, "--grid", "2", "--quiet", "--json")
    assert json.loads(result.out)["failed"] == 0 and result.err == ""
    result = run_cli("track", videos / "c.mp4", *FAST, "--quiet")
    assert (result.code, result.out) == (2, "") and result.err.startswith("error: ")


def test_names_reach_all_outputs(run_cli: Callable, videos: Path) -> None:
    points = ["--points", "left eye=0,20,10", "a=b=1,8,9", "2,5,5"]
    save = ["--save", "npz,csv,json", "--out", "named"]
    assert run_cli("track", videos / "a.mp4", *FAST[:-2], *points, *save).code == 0
    names = ("left eye", "a=b", "")
    assert Tracks.load("named/tracks.npz").names == Tracks.load("named/tracks.csv").names == names
    assert Tracks.load("named/tracks.npz")["a=b"].queries.tolist() == [[1, 8, 9]]
    told = json.dumps(json.loads(Path("named/tracks.json").read_text()))
    assert '"left eye"' in told and '"a=b"' in told


def test_preview_draws_points_and_loads_no_tracker(
    run_cli: Callable, refused: Callable, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def must_not_load(*_: object) -> None:
        raise AssertionError("a tracker was loaded")

    monkeypatch.setattr("tracker.cli.track.open_tracker", must_not_load)
    command = ["track", videos / "a.mp4", "--points", "0,20,10", "--preview"]
    for _ in range(2):  # a preview is replaced
        result = run_cli(*command)
        assert result.code == 0 and "written: outputs/a/preview.png" in result.out
    assert written(videos.parent / "outputs") == ["a/preview.png"]
    first = np.asarray(Image.open("outputs/a/preview.png"))
    assert run_cli(*command, "--out", "look.png").code == 0
    assert np.array_equal(np.asarray(Image.open("look.png")), first)
    both = run_cli(*command, videos / "b.mp4", "--out", "looks")
    assert both.code == 2  # options come after all videos
    several = ["track", videos / "a.mp4", videos / "more/a.mp4", *command[2:], "--out", "looks"]
    assert run_cli(*several).code == 0
    assert written(videos.parent / "looks") == ["a-2/preview.png", "a/preview.png"]
    refused(run_cli(*command, "--out", "look.mp4"), "look.mp4", ".png")
    refused(run_cli("track", videos / "a.mp4", "--points", "0,20,60", "--preview"), "swapped")
