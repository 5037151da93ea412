"""Maps between frame and layer."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from tracker.scenes.motion import MotionConfig, draw_motion


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), frames=st.integers(1, 30))
def test_maps_invert_each_other(seed, frames):
    generator = Generator().manual_seed(seed)
    radius = torch.tensor([160.0, 90.0, 40.0, 10.0, 60.0], dtype=torch.float64)
    config = MotionConfig(nonrigid=1.0, riding=0.6)
    motion = draw_motion(generator, config, frames, (200, 256), radius)
    for half, moved in zip(radius, motion.at(torch.arange(frames).double()), strict=True):
        u = (torch.rand(30, 2, generator=generator) * 2 - 1) * float(half)
        single = moved.to("cpu")
        xy = single.frame_coordinates(u)
        back = single.layer_coordinates(*xy.transpose(0, 1)[:, None].unbind(-1))
        back = torch.stack(back, -1)[:, 0].transpose(0, 1)
        assert (back - u[:, None]).abs().max() < 1e-2
        assert (single.scale(float(half))[0] > 0).all()
