"""Losses of pretraining, each alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Generator

from tracker.pretraining.jepa.loss import normalised, variance_and_covariance, weighted_l1


def test_context_loss_weighs_by_distance() -> None:
    error, near = torch.ones(1, 2, 3), torch.tensor([[1.0, 0.5]])
    assert float(weighted_l1(error, torch.zeros(1, 2, 3), near)) == 0.75


class TestVariance:
    def test_position_is_no_variety(self) -> None:
        """Tokens that say only where they are: full variance over all, none at each place."""
        places = torch.arange(32).expand(4, -1)
        by_place = torch.randn(1, 32, 16, generator=Generator().manual_seed(0))
        tokens = normalised(by_place.expand(4, -1, -1))
        over_all, _ = variance_and_covariance(tokens, None)
        at_places, _ = variance_and_covariance(tokens, places)
        assert float(over_all) < 0.1
        assert float(at_places) == pytest.approx(1 - math.sqrt(1e-4), abs=1e-3)

    def test_is_unbiased_for_few_clips(self) -> None:
        """White noise has variance 1 at each place, even where a place is seen twice only."""
        tokens = torch.randn(2, 4000, 4, generator=Generator().manual_seed(0))
        variance, covariance = variance_and_covariance(tokens, torch.arange(4000).expand(2, -1))
        assert float(variance) < 0.02 and float(covariance) < 0.01

    def test_nothing_to_compare(self) -> None:
        tokens = torch.randn(1, 5, 4, requires_grad=True)
        variance, covariance = variance_and_covariance(tokens, torch.arange(5)[None])
        (variance + covariance).backward()
        assert variance.item() == covariance.item() == 0 and torch.isfinite(tokens.grad).all()

    def test_covariance_sees_copies(self) -> None:
        one = torch.randn(1, 500, 1, generator=Generator().manual_seed(0))
        _, covariance = variance_and_covariance(one.expand(-1, -1, 4), None)
        assert float(covariance) == pytest.approx(4 * 3 / 4, rel=0.2)
