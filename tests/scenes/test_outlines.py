"""Outlines that sprites are cut along."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from tracker.scenes.outlines import draw_outline


@pytest.mark.parametrize("texels", [12, 90])
def test_outlines_stay_inside_their_square(texels):
    generator = Generator().manual_seed(0)
    areas = []
    for _ in range(100):
        outline = draw_outline(generator, texels)
        edge = torch.cat([outline[:2], outline[-2:], outline[:, :2].T, outline[:, -2:].T])
        assert edge.max() < 0
        areas.append(float((outline >= 0).float().mean()))
    assert min(areas) > 0.02
    assert max(areas) < 0.8


def test_outline_is_a_distance_near_its_zero():
    generator = Generator().manual_seed(1)
    for _ in range(20):
        outline = draw_outline(generator, 200)
        slope = torch.hypot(*torch.gradient(outline, spacing=2 / 200))
        near = outline.abs() < 0.02
        assert 0.8 < slope[near].median() < 1.2
