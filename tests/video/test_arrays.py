"""Arrays in memory and in `.npy` files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

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
        (np.zeros((5, 6, 8, 5), np.uint8), "must be"),
        (np.zeros((0, 6, 8, 3), np.uint8), "holds no pixels"),
        (np.zeros((1, 6, 8, 3), np.int64), "type int64"),
        (np.full((1, 6, 8, 3), -0.5), r"outside 0\.\.1"),
        (np.full((1, 6, 8, 3), 1e6), r"outside 0\.\.1"),
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


VALUES = np.random.default_rng(1).integers(0, 256, (5, 6, 8, 3), np.uint8)
CHANNELS_FIRST = torch.from_numpy(VALUES).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    "frames",
    [
        VALUES.astype(np.float32) / 255,
        VALUES.astype(np.float16),
        VALUES.astype(np.float64),
        VALUES.astype(np.uint16) * 257,
        np.concatenate([VALUES, np.full((5, 6, 8, 1), 255, np.uint8)], -1),
        CHANNELS_FIRST,
        CHANNELS_FIRST[None].float(),
        (CHANNELS_FIRST / 255).requires_grad_(),
        CHANNELS_FIRST.bfloat16(),
        torch.from_numpy(VALUES),
        list(VALUES),
        [frame / 255 for frame in VALUES],
        list(CHANNELS_FIRST),
        [Image.fromarray(frame) for frame in VALUES],
        tuple(VALUES),
    ],
    ids=lambda frames: type(frames).__name__,
)
def test_frames_as_people_hold_them(frames: object) -> None:
    np.testing.assert_array_equal(load_video(frames).read(), VALUES)


def test_one_picture_is_one_frame() -> None:
    video = load_video(VALUES[0])
    assert (len(video), video.size) == (1, (8, 6))
    np.testing.assert_array_equal(video[0], VALUES[0])
    transparent = np.dstack([VALUES[0], np.full((6, 8), 255, np.uint8)])
    np.testing.assert_array_equal(load_video(transparent).read(), VALUES[:1])


def test_masks_are_black_and_white() -> None:
    assert np.unique(load_video(VALUES[..., 0] > 127).read()).tolist() == [0, 255]


def test_files_of_a_list_are_frames_in_its_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in (3, 1, 2)]
    for number, path in enumerate(paths):
        Image.fromarray(VALUES[number]).save(path)
    np.testing.assert_array_equal(load_video(paths).read(), VALUES[:3])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([], "list of frames is empty"),
        ([VALUES[0], VALUES[1, 1:]], r"frame 1 of the list has shape \(5, 8, 3\).*frame 0"),
        ([VALUES[0], "nowhere.png"], r"nowhere\.png cannot be read"),
        ([VALUES[0], 7], "frame 1 of the list is int"),
        ([VALUES], "frame 0 of the list is ndarray of shape"),
        (CHANNELS_FIRST[0], "may be one picture or 3 gray frames"),
        (CHANNELS_FIRST[None, None], "a tensor has shape"),
        (CHANNELS_FIRST[0, 0], "a tensor has shape"),
        (7, "cannot be read from int"),
        (None, "cannot be read from NoneType"),
    ],
    ids=lambda frames: type(frames).__name__,
)
def test_what_is_no_video_is_refused_by_name(source: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_video(source)


@settings(deadline=None, max_examples=30)
@given(dark=st.integers(0, 40), data=st.data())
def test_floats_up_to_255_are_told_from_those_up_to_1(dark: int, data: st.DataObject) -> None:
    frames = np.zeros((41, 2, 2), np.float32)
    frames[dark:] = data.draw(st.integers(2, 255))
    brightest = int(frames.max())
    assert load_video(frames).read()[-1].max() == brightest  # the last frame is always looked at
