"""Pictures of every depth and mode become the same uint8 frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tracker.errors import UserError
from tracker.video.loading import load_video
from tracker.video.pictures import to_rgb

RAMP = np.tile(np.arange(256, dtype=np.uint8), (4, 1))


def save_ramp(path: Path, kind: str) -> None:
    """Write a ramp from black to white as programs would."""
    if kind == "16-bit":
        cv2.imwrite(str(path), RAMP.astype(np.uint16) * 257)
    elif kind == "12-bit in 16":
        cv2.imwrite(str(path), (RAMP * (4095 / 255)).astype(np.uint16))
    elif kind == "float 0..1":
        Image.fromarray(RAMP.astype(np.float32) / 255).save(path)
    elif kind == "float 0..255":
        Image.fromarray(RAMP.astype(np.float32)).save(path)
    elif kind == "float colours":
        cv2.imwrite(str(path), np.dstack([RAMP] * 3).astype(np.float32) / 255)
    else:
        Image.fromarray(RAMP).convert(kind).save(path)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("16-bit", ".png"),
        ("16-bit", ".tif"),
        ("12-bit in 16", ".png"),
        ("float 0..1", ".tiff"),
        ("float 0..255", ".tif"),
        ("float colours", ".tif"),
        ("CMYK", ".tif"),
        ("LA", ".png"),
        ("P", ".png"),
        ("I", ".tif"),
    ],
)
@pytest.mark.parametrize("single", [False, True])
def test_a_ramp_stays_a_ramp(tmp_path: Path, kind: str, suffix: str, single: bool) -> None:
    path = tmp_path / f"0{suffix}"
    save_ramp(path, kind)
    frames = load_video(path if single else tmp_path).read()
    assert frames.shape == (1, 4, 256, 3)
    assert np.abs(frames[0].astype(int) - RAMP[..., None]).max() <= (1 if "12" in kind else 0)


def test_tiff_of_twelve_bits(tmp_path: Path) -> None:
    # Pillow reads but does not write them: two samples in three bytes.
    packed = bytes([0x00, 0x0F, 0xFF])  # 0 and 4095
    tags = {256: 2, 257: 1, 258: 12, 259: 1, 262: 1, 273: 134, 277: 1, 278: 1, 279: 3}
    entries = b"".join(
        tag.to_bytes(2, "little") + b"\x04\0\x01\0\0\0" + value.to_bytes(4, "little")
        for tag, value in sorted(tags.items())
    )
    start = b"II*\0\x08\0\0\0" + len(tags).to_bytes(2, "little") + entries + bytes(4)
    (tmp_path / "0.tif").write_bytes(start.ljust(134, b"\0") + packed)
    assert load_video(tmp_path).read()[0, 0, :, 0].tolist() == [0, 255]


def test_transparent_pixels_are_black(tmp_path: Path) -> None:
    pixels = np.array([[[9, 200, 90, 255], [255, 255, 255, 0], [100, 200, 50, 51]]], np.uint8)
    expected = [[9, 200, 90], [0, 0, 0], [20, 40, 10]]
    Image.fromarray(pixels).save(tmp_path / "0.png")
    palette = Image.fromarray(pixels[..., :3]).quantize(3)
    palette.save(tmp_path / "1.png", transparency=int(np.asarray(palette)[0, 1]))
    frames = load_video(tmp_path).read()
    assert frames[0, 0].tolist() == expected
    assert frames[1, 0].tolist() == [[9, 200, 90], [0, 0, 0], [100, 200, 50]]
    np.testing.assert_array_equal(load_video(pixels).read(), frames[:1])


def test_one_white_level_holds_for_a_whole_folder(tmp_path: Path) -> None:
    for number, brightest in enumerate([100, 60000, 1000]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((4, 4), brightest, np.uint16))
    assert load_video(tmp_path).read()[:, 0, 0, 0].tolist() == [0, 233, 4]


def test_floats_that_leave_their_range_are_refused(tmp_path: Path) -> None:
    for number, brightest in enumerate([0.5, 0.5, 0.5, 200, 0.5, 0.5]):
        picture = np.full((4, 4), brightest, np.float32)
        Image.fromarray(picture).save(tmp_path / f"{number}.tif")
    with pytest.raises(UserError, match=r"3\.tif has float32 pixels outside 0\.\.1"):
        load_video(tmp_path).read()


@settings(deadline=None, max_examples=60)
@given(
    values=hnp.arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(3))),
    kind=st.sampled_from([np.uint16, np.float16, np.float32, np.float64]),
    white=st.sampled_from([1, 255, 65535]),
)
def test_every_type_gives_the_same_bytes(values: np.ndarray, kind: type, white: int) -> None:
    if kind == np.uint16:
        white = 65535
    elif kind == np.float16:
        white = min(white, 255)  # it ends at 65504
    stored = (values.astype(np.float64) * (white / 255)).astype(kind)
    np.testing.assert_array_equal(to_rgb(stored, white, "frame"), values)
