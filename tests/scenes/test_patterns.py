"""Procedural textures: their shape and range, and that a seed fixes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from tracker.scenes.patterns import cells, checker, fractal_noise, stripes


@pytest.mark.parametrize("make", [fractal_noise, stripes, checker, cells])
def test_a_pattern_follows_its_generator(make: Callable[[Generator, int], Tensor]) -> None:
    first, again, other = (make(Generator().manual_seed(seed), 48) for seed in (1, 1, 2))
    assert first.shape == (3, 48, 48) and torch.isfinite(first).all()
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.std() > 0.03
    assert first.min() > -0.5 and first.max() < 1.5
