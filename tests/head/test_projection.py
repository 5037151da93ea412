"""Projection of frozen features and its adapter over time."""

from __future__ import annotations

import torch

from tracker.head.projection import ContentProjection, TemporalAdapter, relative_bias


def test_adapter_starts_as_the_identity_and_then_mixes_time_within_its_window() -> None:
    adapter = TemporalAdapter(16, window=3)
    x = torch.randn(2, 6, 16, 4, 5)
    assert torch.equal(adapter(x), x)
    torch.nn.init.normal_(adapter.up.weight, std=0.1)
    changed = x.clone()
    changed[:, 5] += 1
    difference = (adapter(changed) - adapter(x)).abs().amax(dim=(0, 2, 3, 4))
    assert (difference[:4] == 0).all()
    assert (difference[4:] > 0).all()


def test_relative_bias_depends_on_the_difference_alone() -> None:
    table = torch.tensor([[10.0, 20.0, 30.0]])
    bias = relative_bias(table, 4)
    assert bias[0, 0].tolist() == [20, 30, 30, 30]
    assert bias[0, 3].tolist() == [10, 10, 10, 20]
    beyond = relative_bias(table, 4, beyond=float("-inf"))
    assert beyond[0, 0].tolist() == [20, 30, float("-inf"), float("-inf")]


def test_projection_merges_layers() -> None:
    projection = ContentProjection(layers=3, channels=10, width=8, adapter_window=3)
    assert projection(torch.randn(2, 3, 4, 10, 5, 6)).shape == (2, 4, 8, 5, 6)
