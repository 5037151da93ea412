"""Image files in folders, patterns and lists: their order, orientation and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tracker.errors import UserError
from tracker.video.loading import load_video


def test_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    for number in (1, 2, 10, 9, 100):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    video = load_video(tmp_path, fps=12)
    assert video.read()[:, 0, 0, 0].tolist() == [1, 2, 9, 10, 100]
    assert (video.size, video.fps, video.name) == ((8, 6), 12, tmp_path.name)


def test_folder_honours_exif_orientation(tmp_path: Path) -> None:
    upright = np.zeros((6, 8, 3), np.uint8)
    upright[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise
    Image.fromarray(np.rot90(upright)).save(tmp_path / "0.png", exif=exif)
    np.testing.assert_array_equal(load_video(tmp_path).read()[0], upright)


def test_grey_and_transparent_images_become_rgb(tmp_path: Path) -> None:
    Image.new("L", (4, 4), 7).save(tmp_path / "0.png")
    Image.new("RGBA", (4, 4), (1, 2, 3, 255)).save(tmp_path / "1.png")
    assert load_video(tmp_path).read()[:, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]


def test_folder_errors_name_the_image(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no images"):
        load_video(tmp_path)
    Image.new("RGB", (4, 4)).save(tmp_path / "0.png")
    Image.new("RGB", (5, 4)).save(tmp_path / "1.png")
    with pytest.raises(UserError, match=r"1\.png is 5x4 but the first image, .*0\.png, is 4x4"):
        load_video(tmp_path).read()
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes()[:40])
    with pytest.raises(UserError, match=r"1\.png cannot be read"):
        load_video(tmp_path).read()


def test_what_systems_leave_beside_pictures_is_skipped(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (7, 7, 7)).save(tmp_path / "000.png")
    (tmp_path / "._000.png").write_bytes(b"\0\5\26\7")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", ".hidden.png"):
        (tmp_path / name).write_bytes(b"not a picture")
    assert load_video(tmp_path).read()[:, 0, 0, 0].tolist() == [7]
    assert len(load_video(tmp_path / "*.png")) == 1


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Frames of two shots in one folder, numbered to their names."""
    for number in (1, 2, 10):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"a_{number:03}.png")
        Image.new("RGB", (4, 4), (100 + number, 0, 0)).save(tmp_path / f"b{number}.png")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "numbers"),
    [
        ("a_%03d.png", [1, 2, 10]),
        ("b%d.png", [101, 102, 110]),
        ("a_*.png", [1, 2, 10]),
        ("b?.png", [101, 102]),
        ("[b]*.png", [101, 102, 110]),
    ],
)
def test_patterns_name_frames_in_order(shots: Path, pattern: str, numbers: list[int]) -> None:
    video = load_video(shots / pattern)
    assert video.read()[:, 0, 0, 0].tolist() == numbers and video.name == shots.name


def test_tilde_is_the_home(shots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(shots))
    assert len(load_video("~/a_%03d.png")) == 3 and len(load_video("~")) == 6


def test_patterns_that_name_no_video_are_refused(shots: Path, clip: Path) -> None:
    for pattern in ("c_%03d.png", "c*.png", "a_%05d.png"):
        with pytest.raises(UserError, match="no file is named as the pattern"):
            load_video(shots / pattern)
    (shots / "clip.mp4").write_bytes(clip.read_bytes())
    assert len(load_video(shots / "*.mp4")) == 60
    with pytest.raises(UserError, match="names 7 files"):
        load_video(shots / "*")
    (shots / "odd [1].png").write_bytes((shots / "b1.png").read_bytes())
    assert len(load_video(shots / "odd [1].png")) == 1
