"""`vjepa-tracker track`: every kind of bad input, and what help says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tracker.points.tracks import Tracks
from tracker.video.loading import load_video

BAD_VIDEOS = {
    "missing.mp4": (None, "does not exist"),
    "empty.mp4": (b"", "is empty (0 bytes)"),
    "text.mp4": (b"just some words, not a video\n" * 50, "text.mp4"),
    "notes.txt": (b"just some words, not a video\n" * 50, "notes.txt"),
    "noise.mp4": (bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8)), "noise.mp4"),
    "noise.npy": (b"not an array", "noise.npy"),
}


@pytest.mark.parametrize("name", BAD_VIDEOS)
def test_what_is_no_video_is_refused(
    run_cli: Callable, refused: Callable, tmp_path: Path, name: str
) -> None:
    data, words = BAD_VIDEOS[name]
    if data is not None:
        (tmp_path / name).write_bytes(data)
    out = tmp_path / "out"
    refused(run_cli("track", tmp_path / name, "--out", out), str(tmp_path / name), words)
    assert not out.exists()


def test_a_name_that_cannot_be_a_file_is_refused(
    run_cli: Callable, refused: Callable, clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    refused(run_cli("track", "a" * 5000, "--out", out), "aaa")
    refused(run_cli("track", clip, "--queries", "a" * 5000 + ".csv", "--out", out), "aaa")
    refused(run_cli("track", tmp_path, "--out", out), "holds no images")
    assert not out.exists()


def test_sound_is_no_video(
    run_cli: Callable, refused: Callable, ffmpeg: Callable, tmp_path: Path
) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", tmp_path / "sound.wav")
    refused(run_cli("track", tmp_path / "sound.wav", "--out", tmp_path / "out"), "holds no video")
    assert not (tmp_path / "out").exists()


def test_video_without_a_frame_that_decodes(
    run_cli: Callable, refused: Callable, encoded: Callable, tmp_path: Path
) -> None:
    import av

    path = tmp_path / "hollow.mp4"
    data = bytearray(encoded("mp4").read_bytes())
    with av.open(str(encoded("mp4"))) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for position, size in places:
        data[position : position + size] = bytes(size)
    path.write_bytes(data)
    refused(run_cli("track", path, "--out", tmp_path / "out"), "no frame that can be decoded")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--points", "0,64.5,10"], ["x=64.5", "outside the frame of 64x48"]),
        (["--points", "0,10,10", "60,10,10"], ["query 1", "t=60", "0..59"]),
        (["--points", "0,nan,10"], ["nan", "must be numbers"]),
        (["--points", "0,10"], ["'0,10'", "t,x,y"]),
        (["--points", "0,a,b"], ["'0,a,b'", "t,x,y"]),
        (["--points", "0.5,1,1"], ["whole number"]),
        (["--points", "-1,10,10"], ["t=-1", "0..59"]),
        (["--points", "0,-5,10"], ["x=-5", "x in 0..64 and y in 0..48"]),
        (["--grid", "0"], ["grid 0"]),
        (["--corners", "-1"], ["-1 corners"]),
        (["--grid", "3", "--points", "0,1,1"], ["exclude each other"]),
        (["--at", "2", "--points", "0,1,1"], ["--at", "exclude each other"]),
        (["--normalized"], ["--normalized is for"]),
        (["--points", "0,1.5,1", "--normalized"], ["outside the frame of 1x1"]),
        (["--mask", "m.png", "--points", "0,1,1"], ["--mask", "exclude each other"]),
        (["--queries-from", "3"], ["name them: --queries"]),
        (["--at", "60"], ["--at 60", "0..59"]),
        (["--start", "60"], ["0..59"]),
        (["--start", "9", "--stop", "3"], ["no frames from 9 to 3"]),
        (["--stop", "-2"], ["no frames from 0 to -2"]),
        (["--stride", "0"], ["stride 0"]),
        (["--fps", "-1"], ["fps -1"]),
        (["--save", "npz,avi"], ["'avi'", "npz, csv, png, mp4"]),
        (["--save", ""], ["--save ''"]),
        (["--draw", "tail=3"], ["'tail'", "trail, size, names, visible"]),
        (["--draw", "trail"], ["trail=NUMBER"]),
        (["--draw", "names=yes"], ["write names"]),
        (["--draw", "size=big"], ["'big' is not a number"]),
        (["--draw", "trail=-1"], ["trail=-1"]),
        (["--threads", "0"], ["threads=0"]),
        (["--set", "inference.blok=24"], ["inference.blok", "the nearest is inference.block"]),
        (["--set", "block=24"], ["the nearest is inference.block"]),
        (["--set", "inference.block=few"], ["inference.block=few must be a whole number"]),
        (["--set", "inference.block"], ["--set inference.block: write KEY=VALUE"]),
        (["--set", "inference.block=8", "--tracker", "lk"], ["'lk' has no settings"]),
        (["--device", "gpu", "--tracker", "lk"], ["a GPU is called cuda"]),
        (["--device", "tpu", "--tracker", "lk"], ["device tpu cannot be used"]),
        (["--tracker", "nope"], ["'nope'", "lk, static"]),
        (["--queries", "nowhere.csv"], ["nowhere.csv does not exist"]),
        (["--mask", "nowhere.png"], ["nowhere.png cannot be read"]),
    ],
)
def test_bad_options_are_refused(
    run_cli: Callable, refused: Callable, clip: Path, tmp_path: Path, options: list, words: list
) -> None:
    refused(run_cli("track", clip, "--out", tmp_path / "out", *options), *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["track", "demo"])
def test_empty_names_are_refused(
    run_cli: Callable, refused: Callable, clip: Path, monkeypatch: Callable, command: str
) -> None:
    """Not taken for the folder that one is in."""
    monkeypatch.chdir(clip.parent)
    before = set(clip.parent.iterdir())
    refused(
        run_cli(command, *([clip] if command == "track" else []), "--out", ""), "--out is empty"
    )
    refused(run_cli("track", ""), "name is empty")
    assert set(clip.parent.iterdir()) == before


def test_addresses_are_refused(run_cli: Callable, refused: Callable) -> None:
    refused(run_cli("track", "https://example.org/clip.mp4"), "download it", "//example.org/clip")


def test_empty_grid_inside_a_mask_is_refused(
    run_cli: Callable, refused: Callable, clip: Path, mask: Path, tmp_path: Path
) -> None:
    options = ["--mask", mask, "--grid", "0", "--out", tmp_path / "out"]
    refused(run_cli("track", clip, *options), "grid 0")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", "0,1,2\n"),
        ("p.csv", "t,x,y\n0,one,2\n"),
        ("p.csv", "t,x,y\n0,nan,2\n"),
        ("p.csv", "t,x,y\n"),
        ("p.json", "[[0, 1,"),
        ("p.json", '{"points": []}'),
        ("p.json", "[[0, NaN, 3]]"),
        ("p.json", "[]"),
        ("p.json", '[{"time": 0, "x": 1, "y": 2}]'),
        ("p.npz", "not a zip"),
        ("p.yaml", "[]"),
    ],
)
def test_malformed_query_files_are_refused(
    run_cli: Callable, refused: Callable, clip: Path, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    result = run_cli("track", clip, "--queries", tmp_path / name, "--out", tmp_path / "out")
    refused(result)
    assert name in result.err or "no query points" in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
@pytest.mark.parametrize("command", ["track", "demo"])
def test_output_folder_that_cannot_be_written(
    run_cli: Callable, refused: Callable, clip: Path, tmp_path: Path, place: str, command: str
) -> None:
    (tmp_path / "file").write_text("kept")
    video = [clip] if command == "track" else []
    refused(run_cli(command, *video, "--out", tmp_path / place), str(tmp_path / place))
    assert (tmp_path / "file").read_text() == "kept"


def test_truncated_video_is_tracked_with_a_warning(
    run_cli: Callable, encoded: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "cut.mp4"
    data = encoded("mp4").read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))])
    options = ["--grid", "2", "--start", "10", "--out", tmp_path / "out"]
    result = run_cli("track", path, *options)
    warned = [line for line in result.err.splitlines() if line.startswith("warning: ")]
    assert result.code == 0 and len(warned) == 1 and str(path) in warned[0]
    length = Tracks.load(tmp_path / "out" / "tracks.npz").num_frames
    assert 10 < length < 50 and f"first {10 + length} frames" in warned[0]
    assert len(load_video(tmp_path / "out" / "tracks.mp4")) == length


def test_folder_that_breaks_on_the_way_leaves_nothing(
    run_cli: Callable, refused: Callable, tmp_path: Path
) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(4):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(frames / f"{number}.png")
    (frames / "3.png").write_bytes(b"broken")
    refused(run_cli("track", frames, "--out", tmp_path / "out"), "3.png cannot be read")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("args", [["--help"], ["track", "--help"], ["demo", "--help"]])
def test_help_reads_like_a_manual(run_cli: Callable, args: list[str]) -> None:
    result = run_cli(*args)
    assert result.code == 0 and len(result.out.splitlines()) > 5
    if args[0] == "track":
        for word in ("examples:", "--grid", "--points", "--mask", "--queries", "tracks.mp4"):
            assert word in result.out
