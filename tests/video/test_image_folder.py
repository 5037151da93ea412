"""Folders of images: their order, orientation and errors."""

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
    with pytest.raises(UserError, match=r"1\.png is 5x4"):
        load_video(tmp_path).read()
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes()[:40])
    with pytest.raises(UserError, match=r"1\.png cannot be read"):
        load_video(tmp_path).read()
