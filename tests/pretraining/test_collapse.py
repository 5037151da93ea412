"""Signs of collapse."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from tracker.pretraining.collapse import effective_rank, feature_std


class TestCollapse:
    def test_effective_rank(self) -> None:
        random = Generator().manual_seed(0)
        noise = torch.randn(4000, 12, generator=random)
        assert effective_rank(noise) == pytest.approx(12, rel=0.01)
        line = torch.randn(4000, 1, generator=random) * torch.randn(1, 12, generator=random)
        assert effective_rank(line) == pytest.approx(1, abs=0.01)
        assert effective_rank(torch.ones(50, 12)) == 0

    def test_feature_std(self) -> None:
        assert feature_std(torch.ones(9, 4)) == 0
        noise = 3 * torch.randn(5000, 4, generator=Generator().manual_seed(0))
        assert feature_std(noise) == pytest.approx(3, rel=0.05)
