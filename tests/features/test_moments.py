"""Moments by place: against plain formulas, and shares that are known."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_backbone

from tracker.features.backbone import FeatureVolume
from tracker.features.moments import PlaceMoments, positional_share
from tracker.features.template_fitter import TemplateFitter


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def moments_of(features: torch.Tensor) -> PlaceMoments:
    """Of `(B, L, S, C, h, w)`."""
    moments = PlaceMoments(tuple(features.shape[1:]))
    phase = torch.arange(features.shape[2])
    moments.add(FeatureVolume(features, phase, phase))
    return moments


def test_mean_and_spread_are_those_of_all_clips() -> None:
    features = noise(6, 2, 3, 4, 2, 2) + 10 * noise(1, 2, 3, 4, 2, 2, seed=1)
    moments = moments_of(features)
    torch.testing.assert_close(moments.mean(), features.mean(0))
    spread = (features - features.mean(0)).square().mean((0, 2, 4, 5)).sqrt()
    torch.testing.assert_close(moments.std(), spread)


def test_slots_that_were_seen_more_often_count_more() -> None:
    """Windows of a long clip overlap, so its slots come in different numbers."""
    features = noise(2, 1, 3, 4, 2, 2)
    moments = PlaceMoments((1, 2, 4, 2, 2))
    moments.add(FeatureVolume(features, torch.arange(3), torch.tensor([0, 1, 1])))
    first, second = features[:, :, :1], features[:, :, 1:]
    means = torch.cat([x.mean((0, 2))[:, None] for x in (first, second)], 1)
    torch.testing.assert_close(moments.mean(), means)
    left = torch.cat([first - means[:, :1], second - means[:, 1:]], 2)
    torch.testing.assert_close(moments.std(), left.square().mean((0, 2, 4, 5)).sqrt())


@settings(max_examples=20, deadline=None)
@given(power=st.floats(0, 4), clips=st.integers(3, 6), seed=st.integers(0, 2**16))
def test_a_planted_share_is_found_however_few_clips(power: float, clips: int, seed: int) -> None:
    template = noise(1, 1, 2, 256, 4, 4, seed=seed + 2**16)
    features = noise(clips, 1, 2, 256, 4, 4, seed=seed) + power**0.5 * template
    expected = power / (1 + power)
    assert moments_of(features).positional_share()[0] == pytest.approx(expected, abs=0.03)


def test_template_and_analysis_speak_of_the_same_share() -> None:
    backbone = tiny_backbone()
    clips = torch.rand(4, 8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    fitter = TemplateFitter(backbone)
    fitter.update(clips)
    features = backbone(clips).features
    shares = [positional_share(features[:, layer]) for layer in range(2)]
    assert fitter.finish().report.positional_share == pytest.approx(shares, abs=1e-4)


def test_one_clip_or_an_unseen_slot_is_not_complete() -> None:
    assert not moments_of(noise(1, 1, 2, 4, 2, 2)).complete
    assert moments_of(noise(2, 1, 2, 4, 2, 2)).complete
    moments = PlaceMoments((1, 3, 4, 2, 2))
    moments.add(FeatureVolume(noise(2, 1, 2, 4, 2, 2), torch.arange(2), torch.arange(2)))
    assert not moments.complete


def test_features_that_never_change_can_be_divided_by_their_spread() -> None:
    moments = moments_of(torch.ones(3, 1, 2, 4, 2, 2))
    assert (moments.std() > 0).all()
    assert moments.positional_share() == [0.0]
