"""Fixtures shared by all tests: tiny videos, a tiny benchmark, and ways to run the commands."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from tracker.cli.main import main
from tracker.errors import UserError
from tracker.video.loading import load_video
from tracker.video.writing import write_video

pytest_plugins = ["analysis_fixtures", "prompting_fixtures"]

ROOT = Path(__file__).resolve().parent.parent
SIZE = (64, 48)


SLOW = (
    "analysis",
    "bulk/test_run.py",
    "cli",
    "evaluation/test_overlays.py",
    "export/test_onnx_files.py",
    "features/test_backbone.py",
    "features/test_vjepa21.py",
    "flow",
    "formats",
    "napari",
    "points/test_drawing.py",
    "pretraining",
    "prompting",
    "scenes",
    "settings/test_composing.py",
    "test_benchmarks.py",
    "test_configs.py",
    "test_progress.py",
    "test_shipped.py",
    "tracking",
    "training/test_loop.py",
    "training/test_task.py",
    "video/test_decoder.py",
    "web",
)
"""Folders and files of tests that take minutes together: commands, training, reports, accuracy."""


@pytest.hookimpl(tryfirst=True)  # before `-m fast` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what `SLOW` names or starts processes of its own, and all else as fast."""
    slow_paths = [ROOT / "tests" / name for name in SLOW]
    for item in items:
        apart = "run_command" in getattr(item, "fixturenames", ())
        if apart or any(item.path.is_relative_to(path) for path in slow_paths):
            item.add_marker(pytest.mark.slow)
        elif item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.fast)


def render_frames(count: int, size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """Return `(T, H, W, 3)` frames whose content moves one pixel to the right per frame."""
    width, height = size
    rng = np.random.default_rng(seed)
    noise = rng.random((height, width + count, 3), np.float32)
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)
    texture = smooth.astype(np.uint8)
    return np.stack([texture[:, count - t : count - t + width] for t in range(count)])


@pytest.fixture(scope="session")
def make_frames() -> Callable[..., np.ndarray]:
    return render_frames


@pytest.fixture(scope="session")
def ffmpeg() -> Callable[..., None]:
    """Run the bundled ffmpeg with arguments."""
    import imageio_ffmpeg

    def run(*args: str | Path) -> None:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *map(str, args)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    return run


@pytest.fixture(scope="session")
def clip_frames() -> np.ndarray:
    return render_frames(60)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, clip_frames: np.ndarray) -> Path:
    """An mp4 of 60 frames as the program writes it."""
    from tracker.video.writing import write_video

    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, clip_frames, fps=24)
    return path


@pytest.fixture(scope="session")
def encoded(
    tmp_path_factory: pytest.TempPathFactory, clip: Path, ffmpeg: Callable[..., None]
) -> Callable[[str], Path]:
    """Return the clip in a container chosen by suffix, with B-frames and many key frames."""
    folder = tmp_path_factory.mktemp("encoded")
    x264 = ["-c:v", "libx264", "-x264-params", "keyint=12:min-keyint=12:bframes=3:b-adapt=0"]
    options = {
        "mp4": [*x264, "-movflags", "+faststart"],
        "mkv": x264,
        "ts": x264,
        "h264": x264,
        "open_gop.mkv": [*x264[:-1], x264[-1] + ":open-gop=1"],
        "avi": ["-c:v", "mpeg4", "-bf", "2"],
        "mjpeg.avi": ["-c:v", "mjpeg"],
    }

    def get(kind: str) -> Path:
        path = folder / f"clip.{kind}"
        if not path.exists():
            ffmpeg("-i", clip, *options[kind], path)
        return path

    return get


@dataclass
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def write_damaged() -> Callable[[Path], None]:
    """Write an MP4 that can be opened, but breaks off in the middle."""

    def write(path: Path) -> None:
        write_video(path, render_frames(40, (96, 80)), fps=10)
        data = bytearray(path.read_bytes())
        start = data.find(b"mdat")
        rest = len(data) - start
        data[start + rest // 2 : start + rest * 6 // 10] = b"\xff" * (rest // 10)
        path.write_bytes(data)
        with pytest.raises(UserError, match="could only be decoded"):
            load_video(path).read()

    return write


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """A picture of the clip's size with a white square."""
    from PIL import Image

    picture = np.zeros((48, 64), np.uint8)
    picture[10:40, 10:40] = 255
    Image.fromarray(picture).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


@pytest.fixture
def video_folder(tmp_path: Path) -> Path:
    """Two videos, and a file that is none."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(2):
        write_video(folder / f"{number}.mp4", render_frames(12, (96, 80), number), fps=10)
    (folder / "broken.mp4").write_bytes(b"not a video")
    return folder


@pytest.fixture(scope="session")
def class_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos that move to the right, and the same ones backwards; one file is damaged."""
    root = tmp_path_factory.mktemp("classes")
    for name, step in (("right", 1), ("left", -1)):
        (root / name).mkdir()
        for seed in range(4):
            write_video(root / name / f"{seed}.mp4", render_frames(10, seed=seed)[::step], fps=10)
    (root / "left" / "broken.mp4").write_bytes(b"no video")
    return root


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Call `vjepa-tracker` in this process, for tests of many inputs."""

    def run(*args: str | Path) -> Outcome:
        try:
            code = main([str(arg) for arg in args])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture(scope="session")
def run_command() -> Callable[..., Outcome]:
    """Run a command line with this Python in a process of its own."""

    def run(*args: str | Path, cwd: Path, **options: object) -> Outcome:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *map(str, args)]
        done = subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, timeout=120, **options
        )
        # Decoded here, for text mode would make a line of every step of a progress bar.
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def assert_refused(outcome: Outcome, *words: str) -> None:
    """One line that starts with `error: ` and names the trouble, exit code 2, no traceback."""
    # A progress bar clears itself with carriage returns, which are not lines.
    lines = [line.split("\r")[-1] for line in outcome.err.strip().split("\n")]
    assert outcome.code == 2, outcome
    assert "Traceback" not in outcome.err
    assert len(lines) == 1 and lines[0].startswith("error: "), outcome.err
    for word in words:
        assert word in lines[0]


@pytest.fixture(scope="session")
def refused() -> Callable[..., None]:
    return assert_refused


def tapvid_entry(frames: np.ndarray, jpeg: bool = False, speed: int = 1) -> dict:
    """Points that move with `render_frames`, in TAP-Vid's layout; one hides for two frames."""
    from PIL import Image

    count, height, width = frames.shape[:3]
    start = np.array([[20.5, 20.5], [30.5, 12.5], [12.5, 34.5], [24.5, 28.5]])
    xy = np.repeat(start[:, None], count, axis=1)
    xy[..., 0] += speed * np.arange(count)
    occluded = np.zeros(xy.shape[:2], bool)
    occluded[1, 3:5] = True
    video: np.ndarray | list[bytes] = frames
    if jpeg:
        video = []
        for frame in frames:
            data = io.BytesIO()
            Image.fromarray(frame).save(data, "JPEG", quality=95, subsampling=0)
            video.append(data.getvalue())
    points = xy / np.array([width, height])
    return {"video": video, "points": points.astype(np.float32), "occluded": occluded}


@pytest.fixture(scope="session")
def make_entry() -> Callable[..., dict]:
    return tapvid_entry


@pytest.fixture
def benchmark_file(tmp_path: Path) -> Path:
    """A TAP-Vid pickle of three short videos, of which `still` does not move."""
    videos = {
        "one": tapvid_entry(render_frames(10)),
        "two": tapvid_entry(render_frames(8, seed=1), jpeg=True),
        "still": tapvid_entry(np.repeat(render_frames(1, seed=2), 6, axis=0), speed=0),
    }
    path = tmp_path / "tiny.pkl"
    path.write_bytes(pickle.dumps(videos))
    return path
