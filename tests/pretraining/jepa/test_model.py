"""The objective: no leak, the same arithmetic as transformers, gradients where they belong."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from shipped_masks import LONG_RANGE, SHORT_RANGE
from tiny_models import tiny_encoder
from torch import Generator, Tensor

from tracker.errors import UserError
from tracker.features.encoder import encode_tokens, pick, run_layers
from tracker.features.rotary import tables_of
from tracker.pretraining.jepa.config import JepaConfig
from tracker.pretraining.jepa.masks import Masks, draw_masks
from tracker.pretraining.jepa.model import JepaModel

GRID = (4, 4, 4)


EVERYTHING = JepaConfig(
    context_weight=0.5, deep_layers=(1,), variance_weight=0.5, covariance_weight=0.1
)


def tiny_jepa(config: JepaConfig | None = None) -> JepaModel:
    torch.manual_seed(0)
    return JepaModel(tiny_encoder(), config or JepaConfig())


def clip(clips: int = 2) -> Tensor:
    return torch.randn(clips, 8, 3, 64, 64, generator=Generator().manual_seed(1))


def masks(clips: int = 2) -> tuple[Masks, Masks]:
    random = Generator().manual_seed(2)
    return tuple(draw_masks(kind, GRID, clips, random) for kind in (SHORT_RANGE, LONG_RANGE))


def without_targets(video: Tensor, mask: Masks) -> Tensor:
    """Change every pixel outside the context."""
    changed = torch.randn(video.shape, generator=Generator().manual_seed(3))
    visible = torch.zeros(len(video), math.prod(GRID), dtype=torch.bool)
    visible.scatter_(1, mask.context, True)
    pixels = visible.view(-1, 4, 4, 4).repeat_interleave(2, 1)
    pixels = pixels.repeat_interleave(16, 2).repeat_interleave(16, 3)[:, :, None]
    return torch.where(pixels, video, changed)


def context_of(model: JepaModel, video: Tensor, mask: Masks) -> Tensor:
    encoder = model.online.encoder
    return encode_tokens(encoder, encoder.embeddings(video), GRID, (2,), mask.context)[0]


class TestContext:
    def test_does_not_see_masked_pixels(self) -> None:
        model, video, mask = tiny_jepa(), clip(), masks()[0]
        before = context_of(model, video, mask)
        after = context_of(model, without_targets(video, mask), mask)
        assert torch.equal(before, after)

    def test_transformers_own_masks_leak(self) -> None:
        """Why the layers are run here: there the encoder sees every token before it is masked."""
        model, video, mask = tiny_encoder(), clip(), masks()[0]
        outputs = [
            model(v, context_mask=[mask.context], target_mask=[mask.target]).masked_hidden_state
            for v in (video, without_targets(video, mask))
        ]
        assert (outputs[0] - outputs[1]).abs().max() > 0.1

    def test_nothing_masked_equals_transformers(self) -> None:
        model, video = tiny_jepa(), clip()
        expected = model.online(video, skip_predictor=True).last_hidden_state
        everything = torch.arange(64).expand(2, -1)
        mask = Masks(everything, everything[:, :0], torch.ones(2, 64))
        torch.testing.assert_close(context_of(model, video, mask), expected, rtol=0, atol=2e-5)
        torch.testing.assert_close(model.encode_target(video)[-1], expected, rtol=0, atol=2e-5)

    def test_tokens_keep_their_positions(self) -> None:
        """Visible tokens alone must not be numbered anew: moving them all changes the outcome."""
        model, video, mask = tiny_jepa(), clip(), masks()[0]
        encoder = model.online.encoder
        tokens = pick(encoder.embeddings(video), mask.context)
        count = mask.context.shape[1]
        anew = tables_of(encoder, GRID, torch.arange(count).expand(2, -1))
        difference = context_of(model, video, mask) - run_layers(encoder, tokens, anew, (2,))[0]
        assert difference.abs().max() > 0.01


class TestPredictor:
    def test_equals_transformers(self) -> None:
        """On the same context features; transformers' masks are right in the predictor itself."""
        model, video, mask = tiny_jepa(), clip(), masks()[1]
        with torch.no_grad():
            model.online.predictor.embeddings.mask_tokens.normal_()
            features = model.online.encoder(video).last_hidden_state
            expected = model.online.predictor(features, [mask.context], [mask.target])
            # transformers always takes mask token 1: the second kind's.
            _, (predicted,) = model.predict([pick(features, mask.context)], mask, 1, GRID)
        torch.testing.assert_close(predicted, expected.last_hidden_state, rtol=0, atol=2e-5)

    def test_kinds_have_their_own_mask_tokens(self) -> None:
        model, video, mask = tiny_jepa(), clip(), masks()[0]
        torch.nn.init.normal_(model.online.predictor.embeddings.mask_tokens)
        seen = [context_of(model, video, mask)]
        first, second = (model.predict(seen, mask, kind, GRID)[1][0] for kind in (0, 1))
        assert (first - second).abs().max() > 1e-3


class TestLosses:
    @torch.no_grad()
    def test_default_is_plain_l1(self) -> None:
        model, video, kinds = tiny_jepa(), clip(), masks()
        losses = model(video, kinds)
        assert set(losses) == {"loss", "prediction"}
        target = torch.nn.functional.layer_norm(model.encode_target(video)[-1], (64,))
        by_hand = []
        for kind, mask in enumerate(kinds):
            seen = context_of(model, video, mask)
            guess = model.predict([seen], mask, kind, GRID)[1][0]
            by_hand.append((guess - pick(target, mask.target)).abs().mean())
        assert float(losses["loss"]) == pytest.approx(float(sum(by_hand) / 2), rel=1e-5)

    @torch.no_grad()
    def test_every_option_adds_its_weighted_term(self) -> None:
        losses = tiny_jepa(EVERYTHING)(clip(), masks())
        assert set(losses) == {"loss", "prediction", "context", "variance", "covariance"}
        total = (
            losses["prediction"]
            + 0.5 * losses["context"]
            + 0.5 * losses["variance"]
            + 0.1 * losses["covariance"]
        )
        assert float(losses["loss"]) == pytest.approx(float(total), rel=1e-6)

    @pytest.mark.parametrize("config", [JepaConfig(), EVERYTHING], ids=["plain", "everything"])
    def test_gradients(self, config: JepaConfig) -> None:
        """All that is trained gets a gradient, the target encoder none."""
        model = tiny_jepa(config)
        torch.nn.init.normal_(model.online.predictor.embeddings.mask_tokens)
        model(clip(), masks())["loss"].backward()
        assert all(p.grad is None for p in model.target.parameters())
        named = dict(model.named_parameters())
        lacking = [n for n, p in named.items() if p.requires_grad and p.grad is None]
        assert not lacking

    def test_optimising_lowers_the_loss(self) -> None:
        model, video, kinds = tiny_jepa(EVERYTHING), clip(), masks()
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=2e-3)
        history = []
        for _ in range(12):
            loss = model(video, kinds)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(float(loss.detach()))
        assert history[-1] < 0.85 * history[0]

    @torch.no_grad()
    def test_mixed_precision(self) -> None:
        model, video, kinds = tiny_jepa(EVERYTHING), clip(), masks()
        exact = model(video, kinds)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(video, kinds)
        assert float(rounded["loss"]) == pytest.approx(float(exact["loss"]), rel=0.02)

    def test_unknown_deep_layer(self) -> None:
        with pytest.raises(UserError, match=r"deep_layers \[2\]: use layers of 1\.\.1"):
            tiny_jepa(JepaConfig(deep_layers=(2,)))

    @pytest.mark.parametrize(
        "wrong", [{"momentum": (1.0, 0.9)}, {"variance_weight": -1.0}], ids=str
    )
    def test_senseless_settings(self, wrong: dict) -> None:
        with pytest.raises(UserError):
            JepaConfig(**wrong)


class TestTargetEncoder:
    def test_momentum_schedule(self) -> None:
        model = tiny_jepa(JepaConfig(momentum=(0.5, 1.0)))
        old = copy.deepcopy(model.target.state_dict())
        with torch.no_grad():
            for parameter in model.online.encoder.parameters():
                parameter += 1
        model.update_target(1.0)
        for name, value in model.target.state_dict().items():
            assert torch.equal(value, old[name])
        model.update_target(0.5)
        for name, value in model.target.state_dict().items():
            torch.testing.assert_close(value, old[name] + 0.25)

    def test_predictions_follow_target_not_online(self) -> None:
        """The target is the slow encoder's: changing the fast one's last norm leaves it alone."""
        model, video = tiny_jepa(), clip()
        before = model.encode_target(video)[-1]
        model.online.encoder.layernorm.weight.data *= 2
        assert torch.equal(before, model.encode_target(video)[-1])
