"""`vjepa-tracker`: choosing points, what is written, and every kind of bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tracker.cli.track import build_parser, choose_queries
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.video.loading import load_video
from tracker.video.video import Video

OUTPUTS = ["tracks.csv", "tracks.mp4", "tracks.npz", "tracks.png"]


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    picture = np.zeros((48, 64), np.uint8)
    picture[10:40, 10:40] = 255
    Image.fromarray(picture).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def chosen(video: Video, *options: str | Path) -> Queries:
    args = build_parser().parse_args(["clip.mp4", *map(str, options)])
    return choose_queries(args, video)


def test_points_can_be_chosen_in_every_way(clip: Path, mask: Path, tmp_path: Path) -> None:
    video = load_video(clip)
    assert chosen(video) == Queries.grid(10, video.size)
    assert chosen(video, "--grid", "3", "--at", "7") == Queries.grid(3, video.size, 7)
    points = chosen(video, "--points", "0,1.5,2", "59,64,48")
    assert points.txy.tolist() == [[0, 1.5, 2], [59, 64, 48]]
    (tmp_path / "p.csv").write_text("t,x,y\n3,4,5\n")
    assert chosen(video, "--queries", tmp_path / "p.csv").txy.tolist() == [[3, 4, 5]]
    assert len(chosen(video, "--mask", mask, "--grid", "4")) == 16
    assert len(chosen(video, "--mask", mask)) == 256
    corners = chosen(video, "--corners", "5", "--at", "9")
    assert 1 <= len(corners) <= 5 and set(corners.t) == {9}


def test_track_writes_four_files_that_agree(run_cli: Callable, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run_cli("track", clip, "--grid", "2", "--start", "4", "--stop", "14", "--out", out)
    assert result.code == 0
    assert sorted(p.name for p in out.iterdir()) == OUTPUTS
    tracks = Tracks.load(out / "tracks.npz")
    assert Tracks.load(out / "tracks.csv") == tracks
    assert tracks.xy.shape == (4, 10, 2) and tracks.size == (64, 48) and tracks.fps == 24
    # The content of the clip moves one pixel a frame.
    moved = (tracks.xy[:, -1] - tracks.xy[:, 0])[tracks.visible[:, -1]]
    np.testing.assert_allclose(moved, np.broadcast_to([9, 0], moved.shape), atol=1.5)
    assert len(load_video(out / "tracks.mp4")) == 10
    assert Image.open(out / "tracks.png").size[0] == 4 * 480
    for name in OUTPUTS:
        assert f"written: {out / name}" in result.out


def test_static_tracker_stride_and_default_folder(
    run_cli: Callable, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--tracker", "static", "--stride", "6", "--points", "9,5,5"]
    assert run_cli("track", clip, *options).code == 0
    tracks = Tracks.load(tmp_path / "outputs" / "clip" / "tracks.npz")
    assert (tracks.xy == 5).all() and tracks.num_frames == 10 and tracks.fps == 4


def test_nothing_is_overwritten_unless_asked_for(
    run_cli: Callable, refused: Callable, clip: Path, tmp_path: Path, monkeypatch: Callable
) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other" / "clip.mp4"
    other.parent.mkdir()
    other.write_bytes(clip.read_bytes())
    options = ["--tracker", "static", "--stop", "4", "--save", "npz", "--points"]
    for number, (video, place) in enumerate([(clip, "0,1,1"), (other, "0,2,2"), (clip, "0,3,3")]):
        assert run_cli("track", video, *options, place).code == 0
        folder = tmp_path / "outputs" / ("clip" if number == 0 else f"clip-{number + 1}")
        assert Tracks.load(folder / "tracks.npz").queries[0, 1] == number + 1
    out = tmp_path / "outputs" / "clip"
    refused(run_cli("track", other, *options, "0,4,4", "--out", out), "--overwrite", str(out))
    assert Tracks.load(out / "tracks.npz").queries[0, 1] == 1
    replaced = run_cli("track", other, *options, "0,5,5", "--overwrite", "--save", "csv")
    assert replaced.code == 0, replaced.err
    assert [path.name for path in out.iterdir()] == ["tracks.csv"]
    assert Tracks.load(out / "tracks.csv").queries[0, 1] == 5


@pytest.mark.parametrize("kinds", [["npz"], ["csv", "png"], ["mp4"], ["npz", "csv", "png", "mp4"]])
def test_save_chooses_the_files(
    run_cli: Callable, clip: Path, tmp_path: Path, kinds: list[str]
) -> None:
    options = ["--tracker", "static", "--grid", "2", "--stop", "4", "--save", ",".join(kinds)]
    result = run_cli("track", clip, *options, "--out", tmp_path / "out")
    assert result.code == 0, result.err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"tracks.{kind}" for kind in kinds}
    assert result.out.count("written: ") == len(kinds)


def test_settings_reach_the_tracker(
    run_cli: Callable, clip: Path, tmp_path: Path, monkeypatch: Callable
) -> None:
    from tracker.tracking.tracker import PointTracker

    tracked, track = [], PointTracker.track

    def spy(self: PointTracker, *args: object) -> Tracks:
        tracked.append((self.config, torch.get_num_threads()))
        return track(self, *args)

    monkeypatch.setattr(PointTracker, "track", spy)
    options = ["--set", "inference.block=24", "--set", "fine_size=[64,96]", "--threads", "1"]
    size = ["--grid", "2", "--stop", "2", "--save", "npz", "--out", tmp_path / "out"]
    result = run_cli("track", clip, *size, *options)
    assert result.code == 0, result.err
    ((config, threads),) = tracked
    assert (config.inference.block, config.fine_size, threads) == (24, (64, 96), 1)


def test_a_run_can_start_from_the_tracks_of_another(
    run_cli: Callable, clip: Path, tmp_path: Path
) -> None:
    first = ["--points", "2,20,20", "--stop", "8", "--out", tmp_path / "a"]
    assert run_cli("track", clip, *first).code == 0
    again = ["--queries", tmp_path / "a" / "tracks.npz", "--stop", "8", "--out", tmp_path / "b"]
    assert run_cli("track", clip, *again).code == 0
    assert Tracks.load(tmp_path / "a" / "tracks.npz") == Tracks.load(tmp_path / "b/tracks.npz")


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
        (["--grid", "0"], ["grid 0"]),
        (["--corners", "-1"], ["-1 corners"]),
        (["--grid", "3", "--points", "0,1,1"], ["exclude each other"]),
        (["--at", "2", "--points", "0,1,1"], ["--at", "exclude each other"]),
        (["--at", "60"], ["--at 60", "0..59"]),
        (["--start", "60"], ["0..59"]),
        (["--start", "9", "--stop", "3"], ["no frames from 9 to 3"]),
        (["--stride", "0"], ["stride 0"]),
        (["--fps", "-1"], ["fps -1"]),
        (["--save", "npz,avi"], ["'avi'", "npz, csv, png, mp4"]),
        (["--save", ""], ["--save ''"]),
        (["--threads", "0"], ["threads=0"]),
        (["--set", "inference.blok=24"], ["inference.blok", "the nearest is inference.block"]),
        (["--set", "block=24"], ["the nearest is inference.block"]),
        (["--set", "inference.block=few"], ["inference.block=few must be a whole number"]),
        (["--set", "inference.block"], ["--set inference.block: write KEY=VALUE"]),
        (["--set", "inference.block=8", "--tracker", "lk"], ["'lk' has no settings"]),
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
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("args", [["--help"], ["track", "--help"], ["demo", "--help"]])
def test_help_reads_like_a_manual(run_cli: Callable, args: list[str]) -> None:
    result = run_cli(*args)
    assert result.code == 0 and len(result.out.splitlines()) > 5
    if args[0] == "track":
        for word in ("examples:", "--grid", "--points", "--mask", "--queries", "tracks.mp4"):
            assert word in result.out
