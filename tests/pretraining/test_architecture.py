"""Building a backbone, or going on with one, and its initial weights."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_encoder

from tracker.errors import UserError
from tracker.features.rotary import rotate, tables_of
from tracker.pretraining.architecture import draw_initial_weights, open_model, start_local

TINY = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "pred_hidden_size": 32,
    "pred_num_hidden_layers": 1,
    "pred_num_attention_heads": 2,
}


class TestArchitecture:
    def test_initial_weights_suit_the_width(self) -> None:
        model = tiny_encoder(num_hidden_layers=3)
        draw_initial_weights(model)
        for number, layer in enumerate(model.encoder.layer, start=1):
            for linear, shrunk in (
                (layer.attention.query, False),
                (layer.mlp.fc1, False),
                (layer.attention.proj, True),
                (layer.mlp.fc2, True),
            ):
                rows, columns = linear.weight.shape
                expected = math.sqrt(2 / (rows + columns)) / (
                    math.sqrt(2 * number) if shrunk else 1
                )
                assert linear.weight.detach().std() == pytest.approx(expected, rel=0.1)
        patches = model.encoder.embeddings.patch_embeddings.proj.weight.detach()
        assert patches.std() == pytest.approx(patches[0].numel() ** -0.5, rel=0.3)

    def test_config_fits_the_clips(self) -> None:
        model = open_model(TINY | {"patch_size": None}, None, (96, 96), 4)
        assert (model.config.crop_size, model.config.frames_per_clip) == (96, 4)
        assert model.config.hidden_size == 48 and model.config.patch_size == 16

    def test_checkpoint_goes_on(self, tmp_path: Path) -> None:
        saved = open_model(TINY, None, (64, 64), 8)
        saved.save_pretrained(tmp_path)
        again = open_model({"hidden_size": 48}, str(tmp_path), (64, 64), 8)
        for name, value in saved.state_dict().items():
            assert torch.equal(value, again.state_dict()[name]), name
        assert all(p.requires_grad for p in again.parameters())

    def test_checkpoint_of_another_width(self, tmp_path: Path) -> None:
        open_model(TINY, None, (64, 64), 8).save_pretrained(tmp_path)
        with pytest.raises(
            UserError, match=r"hidden_size=48, not 256; leave out architecture\.hid"
        ):
            open_model({"hidden_size": 256}, str(tmp_path), (64, 64), 8)
        config = tmp_path / "config.json"
        config.write_text(config.read_text().replace('"hidden_size": 48', '"hidden_size": 96'))
        with pytest.raises(UserError, match="cannot be loaded"):
            open_model({}, str(tmp_path), (64, 64), 8)

    @pytest.mark.parametrize(
        ("architecture", "size", "frames", "words"),
        [
            (TINY, (64, 60), 8, "multiple of 16 pixels"),
            (TINY, (64, 64), 7, "of 2 frames"),
            (TINY | {"num_attention_heads": 5}, (64, 64), 8, "cannot be built"),
        ],
        ids=["size", "frames", "heads"],
    )
    def test_does_not_fit(
        self, architecture: dict, size: tuple[int, int], frames: int, words: str
    ) -> None:
        with pytest.raises(UserError, match=words):
            open_model(architecture, None, size, frames)


class TestLocalStart:
    @pytest.mark.parametrize("heads", [2, 4])
    def test_attention_falls_with_distance(self, heads: int) -> None:
        """The same at every place, whatever V-JEPA 2's rotary embedding does to absolute ones."""
        encoder = tiny_encoder(hidden_size=64 * heads, num_attention_heads=heads).encoder
        start_local(encoder, 1.0)
        attention = encoder.layer[0].attention
        cos, sin = tables_of(encoder, (1, 6, 6))
        bias = attention.query.bias.view(heads, 1, -1)
        assert torch.equal(attention.key.bias, attention.query.bias)
        turned = rotate(bias.expand(-1, 36, -1), cos, sin)
        logits = (turned @ turned.transpose(1, 2) * attention.scaling).view(heads, 6, 6, 6, 6)
        middle = logits[:, 2, 2]
        for head in middle:
            assert divmod(int(head.argmax()), 6) == (2, 2)
            assert head[2, 2] > head[2, 3] > head[2, 4] and head[2, 2] > head[3, 2] > head[4, 2]
            torch.testing.assert_close(head[2, 3], head[3, 2])
        torch.testing.assert_close(logits[:, 3, 3, 3, 4], middle[:, 2, 3])  # of any other place
        sharper = middle[1, 2, 2] - middle[1, 2, 3] > middle[0, 2, 2] - middle[0, 2, 3]
        assert sharper and float(middle[0, 2, 2] - middle[0, 2, 3]) > 0.05
