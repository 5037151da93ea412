"""Similarities, variability and overlap, against features whose parts are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from tracker.analysis.moving_objects import LARGEST, SMALLEST, moving_objects
from tracker.analysis.positional import analyze_positional
from tracker.analysis.similarity import random_places, similarities
from tracker.analysis.variability import (
    cosine_variability,
    l2_variability,
    overlap,
    tokens_on_object,
)
from tracker.errors import UserError
from tracker.features.moments import positional_share


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def template() -> Tensor:
    """A planted template `(S, C, h, w)` of unit variance."""
    return noise(4, 512, 3, 3, seed=1)


def test_a_planted_template_is_what_clips_share_at_a_place(template: Tensor) -> None:
    content = noise(6, 4, 512, 3, 3)
    # Template and content have equal power: half of the squared length is shared at a place.
    before = similarities(template + content)
    assert before["across_clips"] == pytest.approx(0.5, abs=0.02)
    assert before["across_frames"] == pytest.approx(0, abs=0.02)
    assert before["random_places"] == pytest.approx(0, abs=0.02)
    assert before["positional_share"] == pytest.approx(0.5, abs=0.02)
    after = similarities(content)
    assert all(abs(value) < 0.02 for value in after.values())


def test_content_that_stays_is_what_frames_share(template: Tensor) -> None:
    content = noise(6, 1, 512, 3, 3).expand(6, 4, 512, 3, 3)
    before = similarities(3 * template + content)
    after = similarities(content)
    # The signature of position in V-JEPA 2, and its reversal.
    assert before["across_clips"] == pytest.approx(0.9, abs=0.02)
    assert before["across_frames"] == pytest.approx(0.1, abs=0.02)
    assert after["across_clips"] == pytest.approx(0, abs=0.02)
    assert after["across_frames"] == pytest.approx(1, abs=1e-6)


def test_random_places_are_the_mean_over_all_such_pairs() -> None:
    features = noise(3, 2, 4, 2, 1)
    tokens = features.permute(0, 1, 3, 4, 2).reshape(3, 4, 4)
    pairs = [
        torch.cosine_similarity(tokens[a, p], tokens[b, q], dim=0)
        for a in range(3)
        for b in range(3)
        for p in range(4)
        for q in range(4)
        if a != b and p != q
    ]
    assert random_places(features) == pytest.approx(float(torch.stack(pairs).mean()), abs=1e-6)


def test_the_share_of_few_clips_does_not_count_noise_as_position() -> None:
    assert positional_share(noise(2, 8, 64, 8, 8)) < 0.01
    assert positional_share(noise(1, 8, 64, 8, 8).repeat(2, 1, 1, 1, 1)) == pytest.approx(1)


def test_too_few_clips_or_slots_are_refused() -> None:
    with pytest.raises(UserError, match="2 clips, got 1"):
        similarities(noise(1, 4, 8, 2, 2))
    with pytest.raises(UserError, match="2 tubelets"):
        similarities(noise(4, 1, 8, 2, 2))


def test_variability_of_known_features() -> None:
    features = torch.zeros(2, 2, 1, 2)
    features[0, :, 0, 0] = torch.tensor([2.0, 0.0])
    features[1, :, 0, 0] = torch.tensor([0.0, 2.0])
    features[:, :, 0, 1] = 1.0
    # The mean is (1, 1): the distance is (1, 1), the angle 45 degrees; the other patch stays.
    torch.testing.assert_close(l2_variability(features), torch.tensor([[[1.0, 0]]] * 2))
    expected = torch.tensor([[[1 - 0.5**0.5, 0]]] * 2)
    torch.testing.assert_close(cosine_variability(features), expected)


def test_a_planted_blob_is_found_only_after_correction() -> None:
    inside = torch.zeros(8, 6, 6, dtype=torch.bool)
    for slot in range(8):
        inside[slot, 2:4, slot % 6] = True
    blob = noise(8, 16, 6, 6) * inside[:, None]
    drift = 5 * noise(8, 16, 6, 6, seed=2)
    raw, corrected = (overlap(l2_variability(f), inside) for f in (blob + drift, blob))
    assert corrected["auc"] > 0.99 and corrected["iou"] == 1
    assert 0.3 < raw["auc"] < 0.7 and raw["iou"] < 0.3
    assert corrected["inside_over_outside"] > 3 > raw["inside_over_outside"]
    share = 1 / 18
    assert corrected["iou_chance"] == pytest.approx(share / (2 - share))


def test_a_token_is_on_the_object_where_half_of_it_is_covered() -> None:
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, :2, :2] = True
    mask[0, 2:, :2] = True
    mask[0, 2, 2] = True
    expected = torch.tensor([[[True, False], [True, False]]])
    assert torch.equal(tokens_on_object(mask, 1, (2, 2)), expected)


def test_only_the_object_moves() -> None:
    for clip, mask in moving_objects(2, 6, (48, 64), seed=3):
        assert clip.shape == (6, 3, 48, 64) and mask.shape == (6, 48, 64)
        assert SMALLEST <= mask.float().mean() <= LARGEST
        assert (mask[0] != mask[-1]).any()
        still = ~mask.any(0)
        assert (clip[:, :, still] == clip[:1, :, still]).all()


def test_the_report_has_raw_and_corrected_numbers(open_features: Callable) -> None:
    features = open_features(clips=5, window=4)
    report = analyze_positional(features)
    similarity = report.numbers["similarity"]
    assert set(similarity) == set(report.numbers["overlap"]) == {"raw", "corrected"}
    assert report.facts["template_clips"] == 2 and report.facts["measured_clips"] == 3
    # The tiny encoder's attention leaks position into its features; the template takes it away.
    assert similarity["corrected"][0] != similarity["raw"][0]
    for by_measure in report.numbers["overlap"].values():
        assert set(by_measure) == {"l2", "cosine"}
        assert all(0 <= entry["auc"] <= 1 for (entry,) in by_measure.values())
    # Features of patches change where pixels do.
    assert report.numbers["overlap"]["raw"]["l2"][0]["auc"] > 0.8
    names = {figure.name for figure in report.figures}
    maps = {f"{what}_{how}_layer2" for what in ("clip", "object") for how in ("l2", "cosine")}
    assert names == {"similarity"} | maps


def test_without_a_template_all_clips_are_measured_raw(open_features: Callable) -> None:
    report = analyze_positional(open_features(clips=2, template="none", window=4))
    assert set(report.numbers["similarity"]) == {"raw"}
    assert report.facts["measured_clips"] == 2


def test_a_template_fitted_on_the_clips_it_is_applied_to_centres_them(
    open_features: Callable,
) -> None:
    features = open_features(clips=3)
    features.fit(3)
    volumes = [features.encode(clip) for clip in features.clips(3)]
    residual = torch.cat([features.residual(volume) for volume in volumes])
    np.testing.assert_allclose(residual.mean(0), 0, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clips": 3}, "3 clips are too few; give --clips 4"),
        ({"clips": 1, "template": "none"}, "--clips 2"),
    ],
)
def test_too_little_is_refused(open_features: Callable, changes: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        analyze_positional(open_features(**changes))


def test_a_window_of_one_tubelet_is_seen_over_several(open_features: Callable) -> None:
    """Each tubelet is encoded by itself; what varies is seen across a clip's."""
    features = open_features(window=2, clips=4)
    assert (features.backbone.phases, features.clip_slots) == (1, features.clip_frames // 2)
    report = analyze_positional(features)
    (layer,) = report.numbers["similarity"]["raw"]
    assert all(np.isfinite(value) for value in layer.values())
