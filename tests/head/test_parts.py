"""Projection, adapter, stem, coarse match and refinement, each for what it promises."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.head.coarse import CoarseMatch
from tracker.head.config import HeadConfig
from tracker.head.correlation import Level
from tracker.head.projection import ContentProjection, TemporalAdapter, relative_bias
from tracker.head.refine import Candidates, RefinementStep, describe_state, state_features
from tracker.head.stem import RgbStem


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


def test_projection_and_stem_shapes() -> None:
    projection = ContentProjection(layers=3, channels=10, width=8, adapter_window=3)
    assert projection(torch.randn(2, 3, 4, 10, 5, 6)).shape == (2, 4, 8, 5, 6)
    outputs = RgbStem(12)(torch.rand(2, 3, 64, 96))
    assert [x.shape for x in outputs] == [(2, 12, 16, 24), (2, 12, 8, 12), (2, 12, 4, 6)]
    for x in outputs:
        torch.testing.assert_close(x.norm(dim=1), torch.ones_like(x[:, 0]))


@settings(deadline=None, max_examples=25)
@given(row=st.integers(0, 7), column=st.integers(0, 11))
def test_soft_argmax_finds_a_single_peak(row: int, column: int) -> None:
    logits = torch.full((1, 8, 12), -50.0)
    logits[0, row, column] = 50.0
    xy = CoarseMatch(1).soft_argmax(logits, (120, 80))
    torch.testing.assert_close(xy, torch.tensor([[column * 10 + 5.0, row * 10 + 5.0]]))


def test_soft_argmax_ignores_what_lies_far_from_the_peak() -> None:
    logits = torch.full((1, 8, 12), -50.0)
    logits[0, 2, 3], logits[0, 2, 4] = 10.0, 10.0
    near = CoarseMatch(1).soft_argmax(logits, (120, 80))
    logits[0, 7, 11] = 9.9
    torch.testing.assert_close(CoarseMatch(1).soft_argmax(logits, (120, 80)), near)
    torch.testing.assert_close(near, torch.tensor([[40.0, 25.0]]))


def test_coarse_match_finds_a_planted_feature() -> None:
    features = F.normalize(torch.randn(1, 3, 16, 6, 6, generator=torch.manual_seed(0)), dim=2)
    level = Level.of(features, (96, 96))
    query = features[0, 1, :, 2, 4][None, None]
    match = CoarseMatch(1)
    xy, judged, logits = match([query], [level], (96, 96))
    assert xy.shape == judged.shape == (1, 1, 3, 2)
    assert logits.shape == (1, 1, 3, 6, 6)
    assert (xy[0, 0, 1] - torch.tensor([72.0, 40.0])).norm() < 2


def test_coarse_match_counts_votes_on_the_finest_grid() -> None:
    random = torch.manual_seed(0)
    coarse, fine = (
        F.normalize(torch.randn(1, 2, 32, n, n, generator=random), dim=2) for n in (6, 24)
    )
    maps = [Level.of(x, (96, 96)) for x in (coarse, fine)]
    queries = [coarse[0, 1, :, 2, 4][None, None], fine[0, 1, :, 9, 17][None, None]]
    match = CoarseMatch(2)
    xy, _, logits = match(queries, maps, (96, 96))
    assert logits.shape == (1, 1, 2, 24, 24)
    assert (xy[0, 0, 1] - torch.tensor([70.0, 38.0])).norm() < 1
    # A branch that says the same everywhere leaves the decision to the other.
    flat = Level.of(torch.ones_like(coarse), (96, 96))
    undecided, _, _ = match(queries, [flat, maps[1]], (96, 96))
    assert (undecided[0, 0, 1] - torch.tensor([70.0, 38.0])).norm() < 1
    with torch.no_grad():
        match.log_temperature[1] = -20.0
    blurred, _, _ = match(queries, maps, (96, 96))
    assert (blurred[0, 0, 1] - torch.tensor([72.0, 40.0])).norm() < 4


def test_soft_argmax_at_a_corner_stays_inside() -> None:
    logits = torch.zeros(2, 8, 12)
    logits[0, 0, 0], logits[1, 7, 11] = 9.0, 9.0
    xy = CoarseMatch(1).soft_argmax(logits, (120, 80))
    assert (xy > 0).all()
    assert (xy < torch.tensor([120.0, 80.0])).all()
    assert (xy - torch.tensor([[5.0, 5.0], [115.0, 75.0]])).norm(dim=1).max() < 1


def test_state_knows_motion_and_borders_but_not_where_time_began() -> None:
    xy = torch.rand(1, 2, 5, 2) * 20 + 200
    judged = torch.zeros(1, 2, 5, 2)
    time = torch.arange(5).expand(1, 2, 5)
    state = describe_state(xy, judged, time, (512, 512))
    assert state.shape[-1] == state_features()
    moved = describe_state(xy + 30, judged, time, (512, 512))
    torch.testing.assert_close(state, moved, atol=1e-4, rtol=1e-4)
    near_border = describe_state(xy - 195, judged, time, (512, 512))
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
    sure = torch.tensor([0.5, 0.0]).view(1, 1, 1, 2)
    here = torch.zeros(1, 1, 1, 2)
    near, far = (
        Candidates(torch.tensor([[1.0, 2.0], [x, x]]).view(1, 1, 1, 2, 2), sure) for x in (3.0, 1e6)
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
    seen = step.look([level], [query], coarse)
    assert seen.shape == (1, 2, 3, 8)
    other = step.look([level], [-query], coarse)

    def judge(at_match: torch.Tensor) -> torch.Tensor:
        zeros = torch.zeros_like(here)
        state = (here, zeros, at_match, candidates, zeros[..., 0], (64, 64))
        return step([level], [query], *state)[1]

    assert not torch.allclose(judge(seen), judge(other))
