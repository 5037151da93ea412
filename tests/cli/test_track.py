"""`vjepa-tracker track`: choosing points, and what is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tracker.cli.options.queries import choose_queries
from tracker.cli.track import build_parser
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.video.loading import load_video
from tracker.video.video import Video

OUTPUTS = ["tracks.csv", "tracks.mp4", "tracks.npz", "tracks.png"]


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
    inside = chosen(video, "--corners", "5", "--mask", mask)
    assert 1 <= len(inside) <= 5 and (inside.xy >= 10).all() and (inside.xy <= 40).all()
    shares = chosen(video, "--points", "0,0.5,0.25", "3,1,1", "--normalized")
    assert shares.txy.tolist() == [[0, 32, 12], [3, 64, 48]]


def test_objects_of_a_label_image_are_groups_with_names(clip: Path, tmp_path: Path) -> None:
    labels = np.zeros((48, 64), np.uint8)
    labels[4:20, 4:30], labels[25:45, 30:60] = 1, 2
    Image.fromarray(labels).save(tmp_path / "labels.png")
    video = load_video(clip)
    names = chosen(video, "--mask", tmp_path / "labels.png", "--grid", "2").names
    assert names == tuple(f"object{o}/{i}" for o in (1, 2) for i in (1, 2, 3, 4))
    corners = chosen(video, "--mask", f"{tmp_path / 'labels.png'}:2", "--corners", "3")
    assert all(labels[int(y), int(x)] == 2 for x, y in corners.xy)
    assert {name.split("/")[0] for name in corners.names or ()} == {"object2"}


def test_points_on_several_frames_are_not_anchors_of_one(clip: Path, tmp_path: Path) -> None:
    labels = np.zeros((48, 64), np.uint8)
    labels[4:20, 4:30], labels[25:45, 30:60] = 1, 2
    Image.fromarray(labels).save(tmp_path / "labels.png")
    placed = ["--mask", tmp_path / "labels.png", "--grid", "1", "--query-frames", "0,9"]
    queries = chosen(load_video(clip), *placed)
    assert queries.names == ("object1/1@0", "object2/1@0", "object1/1@9", "object2/1@9")
    assert not queries.has_anchors


def test_rows_of_one_name_are_anchors_of_one_point(
    run_cli: Callable, clip: Path, tmp_path: Path
) -> None:
    rows = ["t,x,y,name,hidden", "30,50.5,20.5,eye,", "0,20.5,20.5,eye,", "12,,,eye,1", "5,9,9,,0"]
    (tmp_path / "anchors.csv").write_text("\n".join(rows))
    track = ["track", clip, "--tracker", "lk", "--queries", tmp_path / "anchors.csv"]
    result = run_cli(*track, "--out", tmp_path / "out")
    assert result.code == 0 and "60 frames, 24 fps; 2 points" in result.out
    tracks = Tracks.load(tmp_path / "out" / "tracks.npz")
    assert tracks.names == ("eye", "")
    assert tracks.position("eye", 0) == (20.5, 20.5) and tracks.position("eye", 30) == (50.5, 20.5)
    assert tracks.confidence[0, 12] == 0 and tracks.visible[0, [11, 13]].all()
    assert Tracks.load(tmp_path / "out" / "tracks.csv") == tracks


def test_labels_of_other_programs_are_anchors(
    run_cli: Callable, clip: Path, tmp_path: Path
) -> None:
    lines = ["track_id,t,y,x", "7,0,20,20", "7,30,20,50", "8,3,10,10"]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    track = ["track", clip, "--tracker", "lk", "--queries", tmp_path / "labels.csv"]
    assert run_cli(*track, "--out", tmp_path / "out.npz").code == 0
    tracks = Tracks.load(tmp_path / "out.npz")
    assert tracks.names == ("7", "8") and tracks.position("7", 30) == (50.5, 20.5)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["3,1,1,eye,0", "3,2,2,eye,0"], ["'eye'", "named twice in frame 3"]),
        (["3,1,1,eye,0", "3,,,eye,1"], ["'eye'", "both hidden and placed in frame 3"]),
        (["3,,,eye,1"], ["'eye'", "hidden in each frame"]),
        (["3,1,1,eye,0", "60,,,eye,1"], ["'eye'", "frames 0..59"]),
    ],
)
def test_anchors_that_contradict_each_other_are_refused(
    run_cli: Callable, refused: Callable, clip: Path, tmp_path: Path, rows: list, words: list
) -> None:
    (tmp_path / "anchors.csv").write_text("\n".join(["t,x,y,name,hidden", *rows]))
    track = ["track", clip, "--tracker", "lk", "--queries", tmp_path / "anchors.csv"]
    refused(run_cli(*track, "--out", tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


def test_a_run_goes_on_from_another_with_points_that_left(
    run_cli: Callable, clip: Path, tmp_path: Path
) -> None:
    fields = {"--tracker": "lk", "--stop": "20", "--save": "npz", "--out": tmp_path / "a"}
    options = [part for item in fields.items() for part in item]
    # The content moves one pixel a frame to the right: the second point leaves at frame 4.
    assert run_cli("track", clip, "--points", "0,20,20", "0,60,20", *options).code == 0
    again = ["--start", "10", "--stop", "30", "--tracker", "lk", "--save", "npz"]
    earlier = ["--queries", tmp_path / "a" / "tracks.npz", "--queries-from", "10"]
    result = run_cli("track", clip, *again, *earlier, "--out", tmp_path / "b")
    assert result.code == 0 and "1 of 2 points were not seen from frame 10 on" in result.err
    tracks = Tracks.load(tmp_path / "b" / "tracks.npz")
    np.testing.assert_allclose(tracks.xy[:, 0], [[30, 20]], atol=1)


def test_frames_of_a_pattern_go_to_a_folder_of_their_name(
    run_cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shot").mkdir()
    for number in range(3):
        Image.new("RGB", (32, 24), (number * 40, 9, 9)).save(tmp_path / f"shot/{number:04}.png")
    monkeypatch.chdir(tmp_path)
    options = ["--tracker", "static", "--grid", "2", "--save", "npz"]
    assert run_cli("track", "shot/%04d.png", *options).code == 0
    assert run_cli("track", "shot/*.png", *options, "--overwrite").code == 0
    assert Tracks.load("outputs/shot/tracks.npz").num_frames == 3
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["shot"]


def test_cuts_and_black_frames_are_warned_of(
    run_cli: Callable, make_frames: Callable, tmp_path: Path
) -> None:
    first, second = (make_frames(8, (96, 64), seed) for seed in range(2))
    second[..., 0] //= 4
    np.save(tmp_path / "film.npy", np.concatenate([first, np.zeros_like(first[:3]), second]))
    options = ["--tracker", "static", "--grid", "2", "--save", "npz", "--out", tmp_path / "out"]
    result = run_cli("track", tmp_path / "film.npy", *options)
    assert result.code == 0
    assert "warning: film.npy: frames 8..10 show nothing but black" in result.err
    assert "warning: film.npy: a new shot begins at frame 8, 11" in result.err


def test_coordinates_within_one_pixel_are_warned_of_once(
    run_cli: Callable, clip: Path, tmp_path: Path
) -> None:
    options = ["--points", "0,0.5,0.5", "--stop", "2", "--tracker", "static", "--save", "npz"]
    result = run_cli("track", clip, *options, "--out", tmp_path / "a")
    assert result.code == 0 and result.err.count("warning: all queries lie within 0..1") == 1
    result = run_cli("track", clip, *options, "--normalized", "--out", tmp_path / "b")
    assert result.code == 0 and not result.err
    assert Tracks.load(tmp_path / "b" / "tracks.npz").xy[0, 0].tolist() == [32, 24]


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


@pytest.mark.parametrize("kind", ["npz", "csv", "png", "mp4"])
def test_a_file_by_name(
    run_cli: Callable, refused: Callable, clip: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "new" / f"result.{kind}"
    options = ["track", clip, "--tracker", "static", "--grid", "2", "--stop", "4", "--out", path]
    result = run_cli(*options)
    assert result.code == 0, result.err
    assert [p.name for p in path.parent.iterdir()] == [path.name] and path.is_file()
    assert f"written: {path}" in result.out
    beside = path.with_name("tracks.npz")
    beside.write_bytes(b"another run's")
    before = path.read_bytes()
    refused(run_cli(*options), str(path), "--overwrite")
    assert path.read_bytes() == before
    assert run_cli(*options, "--overwrite").code == 0
    assert beside.read_bytes() == b"another run's"
    refused(run_cli(*options, "--save", "npz", "--overwrite"), "one file", "--save")


@pytest.mark.parametrize("name", ["result.avi", "result.MOV", "tracks.txt"])
def test_a_file_of_another_kind_is_refused(
    run_cli: Callable, refused: Callable, clip: Path, tmp_path: Path, name: str
) -> None:
    refused(run_cli("track", clip, "--out", tmp_path / name), name, ".npz, .csv, .png, .mp4")
    assert not (tmp_path / name).exists()


def test_a_folder_may_have_any_name(run_cli: Callable, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "old.mp4").mkdir()
    for name in ("run.v2", "old.mp4"):
        options = ["--tracker", "static", "--stop", "4", "--save", "npz", "--out", tmp_path / name]
        assert run_cli("track", clip, *options).code == 0
        assert (tmp_path / name / "tracks.npz").is_file()


def test_drawing_follows_its_options(run_cli: Callable, clip: Path, tmp_path: Path) -> None:
    pictures = []
    for number, draw in enumerate(["", "trail=0", "size=3", "names", "trail=4, size=0.5,visible"]):
        path = tmp_path / f"{number}.png"
        options = ["--tracker", "static", "--grid", "2", "--stop", "4", "--draw", draw]
        assert run_cli("track", clip, *options, "--out", path).code == 0
        pictures.append(np.asarray(Image.open(path)))
    assert not any(np.array_equal(pictures[0], picture) for picture in pictures[2:])


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


@pytest.mark.parametrize("kind", ["npz", "csv"])
def test_a_run_can_start_from_the_tracks_of_another(
    run_cli: Callable, clip: Path, tmp_path: Path, kind: str
) -> None:
    first = ["--points", "2,20,20", "--stop", "8", "--out", tmp_path / "a"]
    assert run_cli("track", clip, *first).code == 0
    again = ["--queries", tmp_path / "a" / f"tracks.{kind}", "--stop", "8", "--out", tmp_path / "b"]
    assert run_cli("track", clip, *again).code == 0
    assert Tracks.load(tmp_path / "a" / "tracks.npz") == Tracks.load(tmp_path / "b/tracks.npz")
