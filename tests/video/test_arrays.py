"""Arrays in memory and in `.npy` files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracker.errors import UserError
from tracker.video.loading import load_video


@pytest.mark.parametrize("shape", [(5, 6, 8, 3), (5, 6, 8, 1), (5, 6, 8)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_npy_is_mapped_not_loaded(tmp_path: Path, shape: tuple, dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    array = values if dtype == np.uint8 else (values / 255).astype(dtype)
    np.save(tmp_path / "frames.npy", array)
    video = load_video(tmp_path / "frames.npy")
    assert isinstance(video._source._array, np.memmap)
    expected = np.broadcast_to(values.reshape(5, 6, 8, -1), (5, 6, 8, 3))
    np.testing.assert_array_equal(video.read(), expected)
    np.testing.assert_array_equal(video.read(2, 4), expected[2:4])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((5, 6)), "must be"),
        (np.zeros((5, 6, 8, 4), np.uint8), "must be"),
        (np.zeros((0, 6, 8, 3), np.uint8), "holds no pixels"),
        (np.zeros((1, 6, 8, 3), np.int64), "type int64"),
        (np.full((1, 6, 8, 3), 255.0), r"outside 0\.\.1"),
        (np.full((1, 6, 8, 3), np.nan), "NaN"),
    ],
)
def test_arrays_that_are_no_frames_are_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_video(array).read()


def test_damaged_npy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "frames.npy"
    np.save(path, np.zeros((5, 6, 8, 3), np.uint8))
    for data in (path.read_bytes()[:-1], b"not an array", path.read_bytes()[:9]):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"frames\.npy"):
            load_video(path)
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(UserError, match=r"frames\.npy"):
        load_video(path)
