"""Components against planted ones; a part of the tokens encoded alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Generator

from tracker.analysis import pca
from tracker.analysis.pca import analyze_pca, encode_visible, foreground, principal_components
from tracker.errors import UserError
from tracker.features.backbone import FrozenBackbone
from tracker.video.pixels import normalise
from tracker.video.video import Video


def test_planted_components_are_found_in_order() -> None:
    scale = torch.tensor([4.0, 2.0, 1.0])
    scores = torch.randn(200, 3, generator=Generator().manual_seed(0))
    scores = torch.linalg.qr(scores - scores.mean(0)).Q * scale
    axes = torch.linalg.qr(torch.randn(8, 8, generator=Generator().manual_seed(1))).Q[:3]
    found = principal_components(scores @ axes + 5)
    np.testing.assert_allclose(found.explained, np.array([16, 4, 1]) / 21, rtol=1e-4)
    np.testing.assert_allclose(np.abs(found.scores), np.abs(scores.numpy()), atol=1e-4)
    colours = found.colours()
    assert colours.min() == 0 and colours.max() == 1
    order = np.argsort(found.scores[:, 0])
    assert (np.diff(colours[order, 0]) >= 0).all()


def test_fewer_tokens_or_channels_than_components_are_refused() -> None:
    with pytest.raises(UserError, match="2 tokens of 8 channels"):
        principal_components(torch.randn(2, 8))
    with pytest.raises(UserError, match="9 tokens of 2 channels"):
        principal_components(torch.randn(9, 2))


def test_tokens_that_are_all_alike_have_no_colour() -> None:
    found = principal_components(torch.ones(9, 4))
    assert (found.colours() == 0).all() and (found.explained == 0).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_foreground_is_the_side_away_from_the_border(sign: int) -> None:
    inside = np.zeros((2, 6, 6), bool)
    inside[:, 2:5, 1:4] = True
    noise = np.random.default_rng(0).normal(0, 0.1, inside.shape)
    assert (foreground(sign * inside + noise) == inside).all()
    assert foreground(np.zeros((2, 3, 3))).all()


@pytest.fixture
def frames() -> torch.Tensor:
    return normalise(torch.rand(1, 4, 3, 32, 48, generator=Generator().manual_seed(0)))


def backbone(open_features: Callable) -> FrozenBackbone:
    return open_features(layers=(1, 2), size=(32, 48)).backbone


def test_all_tokens_visible_is_the_ordinary_encoder(
    open_features: Callable, frames: torch.Tensor
) -> None:
    encoder = backbone(open_features)
    alone = encode_visible(encoder, frames[0], torch.ones(2, 2, 3, dtype=torch.bool))
    whole = encoder.encode_tubelets(frames)[0].permute(0, 1, 3, 4, 2).flatten(1, 3)
    torch.testing.assert_close(alone, whole, atol=1e-5, rtol=1e-5)


def test_hidden_tokens_have_no_influence_but_visible_places_do(
    open_features: Callable, frames: torch.Tensor
) -> None:
    encoder = backbone(open_features)
    visible = torch.zeros(2, 2, 3, dtype=torch.bool)
    visible[:, 0, 1:] = True
    alone = encode_visible(encoder, frames[0], visible)
    assert alone.shape == (2, 4, 64)
    changed = frames.clone()
    changed[..., 16:, :] = 9
    changed[..., :16] = -9
    assert torch.equal(encode_visible(encoder, changed[0], visible), alone)
    # The same pixels two columns apart instead of one: only their positions differ.
    apart = torch.zeros(2, 2, 3, dtype=torch.bool)
    apart[:, 0, 0] = apart[:, 0, 2] = True
    moved = frames.clone()
    moved[..., :16, :16] = frames[..., :16, 16:32]
    assert not torch.allclose(encode_visible(encoder, moved[0], apart), alone, atol=1e-4)


def test_the_report_names_every_row(open_features: Callable) -> None:
    video = Video.from_array(np.random.default_rng(0).integers(0, 256, (5, 40, 60, 3), np.uint8))
    report = analyze_pca(open_features(clips=2), video)
    (entry,) = report.numbers["pca"]
    rows = [
        f"{version}, {what}"
        for version in ("raw", "residual")
        for what in ("all tokens", "foreground", "encoded alone")
    ]
    assert list(entry["explained"]) == rows
    assert 0 < entry["foreground_share"] < 1
    assert report.facts["frames"] == 6  # an odd last frame is doubled, not dropped
    assert [figure.name for figure in report.figures] == ["pca_layer2"]


def test_frames_are_drawn_in_their_own_shape(
    open_features: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[float] = []
    monkeypatch.setattr(pca, "draw_rows", lambda title, rows, aspect: shapes.append(aspect) or b"")
    analyze_pca(open_features(clips=2), Video.from_array(np.zeros((4, 40, 60, 3), np.uint8)))
    assert shapes == [40 / 60]


def test_a_video_of_several_windows(open_features: Callable) -> None:
    """Each window is encoded by itself, so nothing is encoded alone beside it."""
    video = Video.from_array(np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3), np.uint8))
    report = analyze_pca(open_features(window=2, clips=2), video)
    explained = report.numbers["pca"][0]["explained"]
    assert set(explained) == {
        f"{name}, {tokens}"
        for name in ("raw", "residual")
        for tokens in ("all tokens", "foreground")
    }


def test_a_clip_of_two_tokens_is_refused(open_features: Callable) -> None:
    with pytest.raises(UserError, match="2 tokens"):
        analyze_pca(open_features(size=(16, 16), window=4, template="none"), None)
