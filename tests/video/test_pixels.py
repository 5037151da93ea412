"""Frames become pixels: resized without ringing or aliasing, one by one or together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import UserError
from tracker.video.pixels import image_size, normalise, resize, shrink_frames, shrink_to_sizes


@settings(max_examples=20, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    value=st.integers(0, 255),
)
def test_an_even_frame_stays_even(
    height: int, width: int, size: tuple[int, int], value: int
) -> None:
    small = shrink_frames(np.full((2, height, width, 3), value, np.uint8), size)
    assert small.shape == (1, 2, 3, *size)
    torch.testing.assert_close(small, torch.full_like(small, value / 255), atol=1e-6, rtol=0)


def test_one_by_one_is_the_same_as_together() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 30, 50, 3), np.uint8)
    together = resize(torch.tensor(frames).permute(0, 3, 1, 2)[None] / 255, (16, 24))
    torch.testing.assert_close(shrink_frames(iter(frames), (16, 24)), together)


@settings(max_examples=20, deadline=None)
@given(at_once=st.sampled_from([None, 1, 2, 3, 9]), count=st.integers(1, 4))
def test_several_sizes_at_once_are_those_of_each_alone(at_once: int | None, count: int) -> None:
    frames = np.random.default_rng(count).integers(0, 256, (count, 20, 30, 3), np.uint8)
    sizes = [(16, 24), (20, 30), (40, 16)]
    for size, video in zip(sizes, shrink_to_sizes(frames, sizes, at_once=at_once), strict=True):
        torch.testing.assert_close(video, shrink_frames(frames, size))


@pytest.mark.parametrize("period", [2, 4])
def test_shrinking_averages_what_it_cannot_show(period: int) -> None:
    stripes = (np.arange(64) % period < period // 2)[None, :, None] * np.uint8(255)
    small = shrink_frames(np.broadcast_to(stripes, (1, 64, 64, 3)), (8, 8))
    assert (small[..., 1:-1] - 0.5).abs().max() < 0.02


def test_the_same_size_is_left_alone() -> None:
    video = torch.rand(1, 2, 3, 8, 8)
    assert resize(video, (8, 8)) is video


def test_normalised_pixels_of_imagenet_have_mean_0_and_deviation_1() -> None:
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    noise = torch.randn(1, 2, 3, 4, 4)
    torch.testing.assert_close(normalise(noise * std + mean), noise, atol=1e-5, rtol=1e-5)


def test_image_size_takes_two_whole_numbers() -> None:
    assert image_size("size", [64, 96]) == (64, 96)
    for wrong in (256, [256], [256, 256, 3], [256.0, 256], [0, 64], None):
        with pytest.raises(UserError, match=r"size=.*give height and width"):
            image_size("size", wrong)
