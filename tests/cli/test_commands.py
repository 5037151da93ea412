"""Each command once from end to end, in a process of its own: files, exit codes, full disks."""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tracker.cli.options.outputs import KINDS
from tracker.points.tracks import Tracks
from tracker.video.loading import load_video

ROOT = Path(__file__).resolve().parents[2]
EVALUATE = ROOT / "evaluate.py"
TRACK = ("-m", "tracker.cli", "track")


def limit_file_size(size: int) -> Callable[[], None]:
    """What a full disk looks like to a process: no file may grow beyond `size` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_track(run_command: Callable, clip: Path, tmp_path: Path) -> None:
    result = run_command(*TRACK, clip, "--grid", "3", "--stop", "12", "--out", "out", cwd=tmp_path)
    assert result.code == 0, result.err
    names = ["tracks.csv", "tracks.mp4", "tracks.npz", "tracks.png"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == names
    assert "clip.mp4: 64x48, 12 frames, 24 fps; 9 points" in result.out
    assert "error" not in result.err and "warning" not in result.err
    assert Tracks.load(tmp_path / "out/tracks.npz").xy.shape == (9, 12, 2)
    assert len(load_video(tmp_path / "out/tracks.mp4")) == 12


SMALL_DEMO = """
import dataclasses
from tracker.cli.main import main
from tracker.evaluation import demo
demo.DEMO_SCENE = dataclasses.replace(demo.DEMO_SCENE, frames=6, height=48, width=64, points=8)
main()
"""
DEMO_FILES = {f"{name}.{kind}" for name in ("bee", "rendered") for kind in KINDS}


def test_demo(run_command: Callable, tmp_path: Path) -> None:
    command = ["-c", SMALL_DEMO, "demo", "--tracker", "lk"]
    result = run_command(*command, cwd=tmp_path)
    assert result.code == 0, result.err
    assert "accuracy against the rendered truth" in result.out
    folder = tmp_path / "outputs" / "demo"
    assert {path.name for path in folder.iterdir()} == DEMO_FILES
    tracks = Tracks.load(folder / "bee.npz")
    assert len(load_video(folder / "bee.mp4")) == tracks.num_frames == 60
    assert len(tracks) == 100 and tracks.visible[:, -1].mean() > 0.3
    refused = run_command(*command, "--out", folder, cwd=tmp_path)
    assert refused.code == 2 and "--overwrite" in refused.err


def test_track_refuses_in_one_line(
    run_command: Callable, refused: Callable, tmp_path: Path
) -> None:
    refused(run_command(*TRACK, "nowhere.mp4", cwd=tmp_path), "nowhere.mp4 does not exist")
    assert not list(tmp_path.iterdir())


def test_truncated_video_warns(run_command: Callable, encoded: Callable, tmp_path: Path) -> None:
    data = encoded("mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: int(0.7 * len(data))])
    options = ["--grid", "2", "--start", "20", "--out", "out"]
    result = run_command(*TRACK, "cut.mkv", *options, cwd=tmp_path)
    lines = [line for line in result.err.split("\n") if "cut.mkv" in line]
    assert result.code == 0 and len(lines) == 1 and lines[0].startswith("warning: cut.mkv")
    length = 20 + Tracks.load(tmp_path / "out/tracks.npz").num_frames
    assert length < 60 and f"first {length} frames" in lines[0]


# The disk fills up while the first file is written, and while the video is encoded.
@pytest.mark.parametrize(("room", "file"), [(1_000, "tracks.npz"), (300_000, "tracks.mp4")])
def test_full_disk_leaves_no_half_written_file(
    run_command: Callable,
    refused: Callable,
    tmp_path: Path,
    room: int,
    file: str,
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (36, 240, 240, 3), np.uint8)
    noise[::5] = 128  # the frames of the contact sheet, which so stays small
    np.save(tmp_path / "noise.npy", noise)
    result = run_command(
        *(*TRACK, "noise.npy", "--tracker", "static", "--grid", "9", "--out", "out"),
        cwd=tmp_path,
        preexec_fn=limit_file_size(room),
    )
    # Noise looks like cuts and its gray frames like gaps, of which it is warned before.
    lines = result.err.splitlines(keepends=True)
    result.err = "".join(line for line in lines if not line.startswith("warning: noise.npy"))
    refused(result, f"out/{file}")
    whole = {"tracks.npz": set(), "tracks.mp4": {"tracks.npz", "tracks.csv", "tracks.png"}}[file]
    assert {p.name for p in (tmp_path / "out").glob("*")} == whole
    for path in (tmp_path / "out").glob("tracks.[nc][ps][zv]"):
        assert Tracks.load(path).xy.shape == (81, 36, 2)


def test_evaluate(run_command: Callable, benchmark_file: Path, tmp_path: Path) -> None:
    options = [f"benchmark.path={benchmark_file}", "trackers=[static,lk]", "overlays=1"]
    result = run_command(EVALUATE, *options, "output_dir=out", cwd=tmp_path)
    assert result.code == 0, result.err
    content = json.loads((tmp_path / "out/metrics.json").read_text())
    assert set(content["trackers"]) == {"static", "lk"} and content["query_mode"] == "first"
    assert "tapvid_davis, first queries, 3 videos, native frames" in result.out
    assert len(list((tmp_path / "out/overlays").iterdir())) == 4
    for line in result.out.split("\n"):
        if line.startswith("written: "):
            for name in line.removeprefix("written: ").split(", "):
                assert (tmp_path / name).is_file()


def test_evaluate_skips_a_broken_video_and_exits_with_1(
    run_command: Callable, benchmark_file: Path, tmp_path: Path
) -> None:
    videos = pickle.loads(benchmark_file.read_bytes())
    videos["two"]["video"][3] = b"damaged"
    benchmark_file.write_bytes(pickle.dumps(videos))
    options = [f"benchmark.path={benchmark_file}", "trackers=static", "output_dir=out"]
    result = run_command(EVALUATE, *options, cwd=tmp_path)
    assert result.code == 1 and "Traceback" not in result.err
    assert "skipped two: frame 3 of video two is not a JPEG image" in result.err
    content = json.loads((tmp_path / "out/metrics.json").read_text())
    assert set(content["trackers"]["static"]["videos"]) == {"one", "still"}
    assert (tmp_path / "out/metrics.csv").is_file() and "2 videos" in result.out


class Hostile:
    """Runs a command where it is unpickled by the ordinary means."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch ran",)


def test_evaluate_does_not_run_a_hostile_pickle(
    run_command: Callable, refused: Callable, tmp_path: Path
) -> None:
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps({"v": Hostile()}))
    result = run_command(EVALUATE, "benchmark.path=bomb.pkl", "output_dir=out", cwd=tmp_path)
    refused(result, "bomb.pkl", "system", "only NumPy arrays")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ["tapvid_davis", "published at https://"]),
        (["benchmark.path=nowhere.pkl"], ["nowhere.pkl does not exist"]),
        (["nonsense=1"], ["nonsense"]),
        (["benchmark.path={file}", "trackers=[nope]"], ["'nope'"]),
        (["benchmark.path={file}", "trackers=[]"], ["names no tracker"]),
        (["benchmark.path={file}", "query_mode=last"], ["query_mode=last"]),
        (["benchmark.path={file}", "limit=few"], ["limit=few"]),
        (["benchmark.path={file}", "overlays=all"], ["overlays=all"]),
        (["benchmark.path={file}", "output_dir=tiny.pkl/out"], ["output folder"]),
        (["benchmark.path={file}", "changes=3"], ["changes=3"]),
        (["benchmark.path={file}", "+changes.inference.block=8"], ["'static' has no settings"]),
        (
            ["benchmark.path={file}", "trackers=[vjepa]", "+changes.inferrence.iterations=6"],
            ["no setting inferrence", "the nearest is inference"],
        ),
        (["benchmark.path={file}", "+experiment=train/vitl"], ["vjepa-tracker train"]),
    ],
)
def test_evaluate_refuses_in_one_line(
    refused: Callable,
    benchmark_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: list[str],
) -> None:
    from conftest import Outcome

    from tracker.cli import evaluate

    monkeypatch.chdir(benchmark_file.parent)
    arguments = [option.format(file=benchmark_file) for option in options]
    if not any(option.startswith("output_dir") for option in options):
        arguments.append("output_dir=out")
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        evaluate.main()
    refused(Outcome(stop.value.code, *capsys.readouterr()), *words)
    assert sorted(p.name for p in benchmark_file.parent.iterdir()) == ["tiny.pkl"]


SLOW_SECOND_VIDEO = """
import sys, time
from pathlib import Path
from tracker import baselines
track = baselines.StaticTracker.track
def slow(self, video, queries, progress=None):
    with open("tracked.txt", "a") as file:
        print(video.name, file=file)
    if video.name == "two" and Path("wait").exists():
        time.sleep(60)
    return track(self, video, queries, progress)
baselines.StaticTracker.track = slow
sys.path.insert(0, {root!r})
sys.argv = ["evaluate.py", "trackers=[static]", "output_dir=out", "benchmark.path=tiny.pkl"]
from tracker.cli import evaluate
sys.exit(evaluate.main())
"""


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_killed_evaluation_resumes(
    run_command: Callable, benchmark_file: Path, tmp_path: Path, sign: int, code: int
) -> None:
    script = tmp_path / "slow.py"
    script.write_text(SLOW_SECOND_VIDEO.format(root=str(ROOT)))
    (tmp_path / "wait").touch()
    log = tmp_path / "tracked.txt"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.DEVNULL,
        # Shells start background jobs with Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.poll() is None and not (log.exists() and "two" in log.read_text()):
        time.sleep(0.02)
    process.send_signal(sign)
    assert process.wait(timeout=30) == code
    assert json.loads((tmp_path / "out/metrics.json").read_text())["complete"] is False
    (tmp_path / "wait").unlink()
    result = run_command(script, cwd=tmp_path)
    assert result.code == 0, result.err
    assert log.read_text().split() == ["one", "two", "two", "still"]
    content = json.loads((tmp_path / "out/metrics.json").read_text())
    assert content["complete"] and len(content["trackers"]["static"]["videos"]) == 3
