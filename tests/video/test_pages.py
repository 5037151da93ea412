"""Image files that hold several pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tracker.errors import UserError
from tracker.video.loading import load_video


def save_pages(path: Path, **options: object) -> np.ndarray:
    pages = [Image.new("RGB", (32, 24), (40 * i, 0, 0)) for i in range(6)]
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)
    return np.stack([np.asarray(page) for page in pages])


@pytest.mark.parametrize(
    ("name", "options", "fps"),
    [
        ("a.webp", {"lossless": True, "duration": 40}, 25),
        ("a.png", {"duration": 50}, 20),
        ("a.tif", {}, 24),
    ],
)
def test_every_page_is_a_frame(
    tmp_path: Path, name: str, options: dict, fps: float, caplog: pytest.LogCaptureFixture
) -> None:
    pages = save_pages(tmp_path / name, **options)
    video = load_video(tmp_path / name)
    assert (len(video), video.size, video.info.warning) == (6, (32, 24), None)
    assert video.fps == pytest.approx(fps) and not caplog.records
    np.testing.assert_array_equal(video.read(), pages)
    np.testing.assert_array_equal(video.read(2, 5), pages[2:5])
    assert load_video(tmp_path / name, fps=3).fps == 3


def test_unequal_durations_are_a_variable_rate(tmp_path: Path) -> None:
    save_pages(tmp_path / "a.webp", duration=[40, 40, 400, 40, 40, 40])
    info = load_video(tmp_path / "a.webp").info
    assert info.variable_frame_rate and info.fps == pytest.approx(10)


def test_one_picture_is_one_frame(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6), (1, 2, 3)).save(tmp_path / "photo.png")
    assert load_video(tmp_path / "photo.png").read().shape == (1, 6, 8, 3)


def test_damaged_and_unequal_pages_are_named(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(
        tmp_path / "a.tif", save_all=True, append_images=[Image.new("RGB", (9, 6))]
    )
    with pytest.raises(UserError, match=r"page 1 of .*a\.tif is 9x6 but page 0 is 8x6"):
        load_video(tmp_path / "a.tif").read()
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"b\.png cannot be read"):
        load_video(tmp_path / "b.png")
