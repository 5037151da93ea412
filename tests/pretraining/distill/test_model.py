"""The student and its losses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tiny_models import tiny_encoder
from torch import Generator

from tracker.errors import UserError
from tracker.features.rotary import attend
from tracker.pretraining.distill.config import DistillConfig
from tracker.pretraining.distill.model import DistillModel, feature_loss
from tracker.pretraining.jepa.masks import MaskConfig, draw_masks

CHANNELS = 5
MASKS = [MaskConfig(1, 0.3), MaskConfig(1, 0.6)]


def model_of(masked: bool = False, **changes: object) -> DistillModel:
    torch.manual_seed(0)
    mean, std = torch.arange(float(CHANNELS)), torch.full((CHANNELS,), 2.0)
    return DistillModel(tiny_encoder(), mean, std, DistillConfig(**changes), masked)


def batch_of(model: DistillModel, clips: int = 3) -> tuple:
    random = Generator().manual_seed(0)
    video = torch.randn(clips, 4, 3, 64, 64, generator=random)
    targets = torch.randn(clips, 32, CHANNELS, generator=random)
    return video, targets, torch.ones(clips, 32)


def test_attention_in_training_is_the_same() -> None:
    query, key, value = torch.randn(3, 2, 4, 24, 16, generator=Generator().manual_seed(0))
    frozen = attend(query, key, value, 0.25)
    trained = attend(query.requires_grad_(), key, value, 0.25)
    torch.testing.assert_close(trained, frozen)
    trained.sum().backward()
    assert query.grad is not None


def test_gradients_survive_bf16() -> None:
    """Under autocast they point where those of float32 do, down to the patches."""
    gradients = []
    for autocast in (False, True):
        model, (video, targets, weights) = model_of(), batch_of(model_of())
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = model(video, targets, weights)["loss"]
        loss.backward()
        encoder = model.student.encoder
        parts = (encoder.embeddings.patch_embeddings.proj, encoder.layer[0].attention.query)
        gradients.append([part.weight.grad.flatten() for part in parts])
    for exact, rounded in zip(*gradients, strict=True):
        assert F.cosine_similarity(exact, rounded, dim=0) > 0.98


def test_features_are_those_of_transformers() -> None:
    model, (video, targets, weights) = model_of(), batch_of(model_of())
    expected = model.student(video, skip_predictor=True).last_hidden_state
    predicted = model.to_teacher[0](expected)
    loss = F.smooth_l1_loss(predicted, (targets - model.mean) / 2)
    torch.testing.assert_close(model(video, targets, weights)["loss"], loss, atol=1e-5, rtol=1e-5)


def test_targets_are_standardised() -> None:
    model, (video, targets, weights) = model_of(loss="mse"), batch_of(model_of())
    for linear in model.to_teacher:
        torch.nn.init.zeros_(linear.weight), torch.nn.init.zeros_(linear.bias)
    loss = model(video, model.mean + 2 * targets, weights)["loss"].item()
    assert loss == pytest.approx(float(targets.square().mean()), rel=1e-4)


def test_weights_leave_tokens_out() -> None:
    model, (video, targets, weights) = model_of(), batch_of(model_of())
    weights[:, 5] = 0
    wrong = targets.clone()
    wrong[:, 5] = 1e4
    assert model(video, wrong, weights)["loss"] == model(video, targets, weights)["loss"]


@pytest.mark.parametrize("kind", ["smooth_l1", "mse", "cosine"])
def test_losses(kind: str) -> None:
    right = torch.randn(2, 3, CHANNELS)
    weights = torch.ones(2, 3)
    assert feature_loss(kind, right, right, weights) == pytest.approx(0, abs=1e-6)
    assert feature_loss(kind, -right, right, weights) > 0.3


def test_hidden_places_are_not_seen() -> None:
    """What lies under the masks changes neither loss; what is visible changes both."""
    model = model_of(masked=True)
    video, targets, weights = batch_of(model)
    masks = tuple(draw_masks(kind, (2, 4, 4), 3, Generator().manual_seed(0)) for kind in MASKS)
    losses = model(video, targets, weights, masks[:1])
    total = float(losses["visible"] + losses["hidden"])
    assert losses["loss"].item() == pytest.approx(total)

    def paint(tokens: torch.Tensor) -> torch.Tensor:
        painted = video.clone()
        for clip, ids in enumerate(tokens.tolist()):
            for n in ids:
                slot, row, column = n // 16, n % 16 // 4 * 16, n % 4 * 16
                painted[clip, 2 * slot : 2 * slot + 2, :, row : row + 16, column : column + 16] = 3
        return painted

    hidden = model(paint(masks[0].target), targets, weights, masks[:1])
    torch.testing.assert_close(hidden, losses)
    visible = model(paint(masks[0].context[:, :2]), targets, weights, masks[:1])
    assert visible["hidden"] != losses["hidden"] and visible["visible"] != losses["visible"]
    assert model(video, targets, weights, masks)["loss"] != losses["loss"]


def test_what_trains() -> None:
    """The predictor without masks does not; every other weight has a gradient."""
    for masked in (False, True):
        model = model_of(masked, deep_layers=(1,))
        video, targets, weights = batch_of(model)
        masks = [draw_masks(MASKS[0], (2, 4, 4), 3, Generator().manual_seed(0))] if masked else []
        model(video, targets, weights, masks)["loss"].backward()
        for name, parameter in model.named_parameters():
            predictor = name.startswith("student.predictor")
            assert parameter.requires_grad == (masked or not predictor), name
            if "mask_tokens" not in name and parameter.requires_grad:
                assert parameter.grad is not None, name


def test_a_student_learns() -> None:
    """A few steps on one batch bring the loss down by half."""
    model = model_of(loss="mse")
    video, targets, weights = batch_of(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for _ in range(25):
        loss = model(video, targets, weights)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0] / 2


def test_layers_that_are_not_there() -> None:
    with pytest.raises(UserError, match=r"use layers of 1\.\.1"):
        model_of(deep_layers=(2,))
