"""A refinement step: what it knows, what it heeds, and where candidates pull it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tracker.head.config import HeadConfig
from tracker.head.correlation import Level
from tracker.head.refine import Candidates, RefinementStep, describe_state, state_features


def test_state_knows_motion_and_borders_but_not_where_time_began() -> None:
    xy = torch.rand(1, 2, 5, 2) * 20 + 200
    visibility_logits = torch.zeros(1, 2, 5, 2)
    time = torch.arange(5).expand(1, 2, 5)
    state = describe_state(xy, visibility_logits, time, (512, 512))
    assert state.shape[-1] == state_features()
    moved = describe_state(xy + 30, visibility_logits, time, (512, 512))
    torch.testing.assert_close(state, moved, atol=1e-4, rtol=1e-4)
    near_border = describe_state(xy - 195, visibility_logits, time, (512, 512))
    assert not torch.allclose(state, near_border)


@pytest.mark.parametrize("scale", [1e3, 1e6])
def test_state_stays_bounded(scale: float) -> None:
    xy = torch.randn(1, 2, 5, 2) * scale
    state = describe_state(xy, torch.randn_like(xy) * scale, torch.zeros(1, 2, 5), (64, 64))
    assert state.abs().max() <= 4


def test_a_step_goes_over_to_the_candidate_that_it_believes() -> None:
    places = torch.tensor([[10.0, 10.0], [90.0, 40.0]]).view(1, 1, 1, 2, 2)
    candidates = Candidates(places, torch.tensor([0.2, 0.9]).view(1, 1, 1, 2))
    here = torch.tensor([50.0, 50.0]).view(1, 1, 1, 2)
    stay = torch.full((1, 1, 1, 2), -50.0)
    assert torch.allclose(candidates.attract(here, stay), here)
    for k in range(2):
        pull = stay.clone()
        pull[..., k] = 50
        assert torch.allclose(candidates.attract(here, pull)[0, 0, 0], places[0, 0, 0, k])


def test_an_absent_candidate_neither_pulls_nor_is_described() -> None:
    certainty = torch.tensor([0.5, 0.0]).view(1, 1, 1, 2)
    here = torch.zeros(1, 1, 1, 2)
    near, far = (
        Candidates(torch.tensor([[1.0, 2.0], [x, x]]).view(1, 1, 1, 2, 2), certainty)
        for x in (3.0, 1e6)
    )
    assert torch.equal(near.describe(here), far.describe(here))
    pull = torch.full((1, 1, 1, 2), 50.0)
    assert torch.allclose(far.attract(here, pull)[0, 0, 0], torch.tensor([1.0, 2.0]))


def test_a_step_heeds_what_lies_at_the_coarse_match_wherever_it_stands() -> None:
    torch.manual_seed(0)
    config = HeadConfig(width=32, heads=2, depth=1, correlation_channels=8)
    step = RefinementStep(config, levels=1, candidates=1)
    level = Level.of(F.normalize(torch.randn(1, 3, 16, 16, 16), dim=2), (64, 64))
    query = torch.randn(1, 2, 25, 16)
    here, coarse = torch.full((2, 1, 2, 3, 2), 8.0)
    coarse = coarse + 40
    candidates = Candidates(coarse[..., None, :], torch.ones(1, 2, 3, 1))
    seen = step.correlate([level], [query], coarse)
    assert seen.shape == (1, 2, 3, 8)
    other = step.correlate([level], [-query], coarse)

    def judge(at_match: torch.Tensor) -> torch.Tensor:
        zeros = torch.zeros_like(here)
        found = step.correlate([level], [query], here)
        return step(found, here, zeros, at_match, candidates, zeros[..., 0], (64, 64))[1]

    assert not torch.allclose(judge(seen), judge(other))
