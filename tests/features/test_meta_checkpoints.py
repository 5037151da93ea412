"""Meta's files: every weight has its place, and what is not implemented is refused."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from meta_files import encoder_21, save_meta_20, save_meta_21, wrapped
from tiny_models import tiny_encoder
from transformers import VJEPA2Model

from tracker.errors import UserError
from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.features.meta_checkpoints import load_meta_config, load_meta_model
from tracker.features.sources import usual_layers
from tracker.pretraining.architecture import open_model


def model_20() -> VJEPA2Model:
    return tiny_encoder(num_attention_heads=1, num_hidden_layers=3)


def test_a_v_jepa_2_becomes_an_ordinary_folder(tmp_path: Path) -> None:
    """transformers' own reader gives the same weights, predictor and all."""
    model = model_20()
    file = save_meta_20(tmp_path / "vitl.pt", model)
    backbone = FrozenBackbone(BackboneConfig(str(file), (1, 3), (64, 64), 8))
    video = torch.rand(1, 8, 3, 64, 64)
    given = FrozenBackbone(BackboneConfig("tiny", (1, 3), (64, 64), 8), model)
    assert torch.equal(backbone(video).features, given(video).features)
    backbone.save(tmp_path / "folder")
    plain = VJEPA2Model.from_pretrained(tmp_path / "folder").state_dict()
    assert plain.keys() == model.state_dict().keys()
    assert all(torch.equal(plain[name], value) for name, value in model.state_dict().items())
    # Where there is a predictor, training can go on.
    architecture = {"num_hidden_layers": 3, "pred_num_hidden_layers": 1}
    assert open_model(architecture, str(tmp_path / "folder"), (64, 64), 4).config.crop_size == 64


@pytest.mark.parametrize(("name", "size"), [("vitg.pt", 256), ("vitg-384.pt", 384)])
def test_the_size_that_plain_transformers_takes(name: str, size: int, tmp_path: Path) -> None:
    file = save_meta_20(tmp_path / name, model_20())
    assert load_meta_config(str(file)).crop_size == size


def test_the_average_of_the_student_is_read(tmp_path: Path) -> None:
    """Not the student of the last step, nor the teacher."""
    model = load_meta_model(str(save_meta_21(tmp_path / "b.pt")))
    weights = encoder_21()
    assert torch.equal(model.encoder.norms[3].weight, weights["norms_block.3.weight"])
    query = weights["blocks.7.attn.qkv.weight"][:128]
    assert torch.equal(model.encoder.layer[7].attention.query.weight, query)
    torch.save({"target_encoder": wrapped(encoder_21(seed=5))}, tmp_path / "g.pt")
    other = load_meta_model(str(tmp_path / "g.pt"))
    expected = encoder_21(seed=5)["norms_block.3.weight"]
    assert torch.equal(other.encoder.norms[3].weight, expected)


@pytest.mark.parametrize(
    ("shape", "heads", "hidden", "layers"),
    [
        ((768, 12), 12, 3072, (3, 6, 9, 12)),
        ((1024, 24), 16, 4096, (6, 12, 18, 24)),
        ((1408, 40), 22, 6144, (10, 20, 30, 40)),
        ((1664, 48), 26, 8192, (12, 24, 38, 48)),
    ],
)
def test_published_architectures_are_told_from_shapes(
    shape: tuple[int, int],
    heads: int,
    hidden: int,
    layers: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of weights that hold nothing: B, L, g and G would fill gigabytes."""
    width, depth = shape
    with torch.device("meta"):
        weights = {
            "patch_embed.proj.weight": torch.empty(width, 3, 2, 16, 16),
            "patch_embed_img.proj.weight": torch.empty(width, 3, 1, 16, 16),
            f"blocks.{depth - 1}.norm1.weight": torch.empty(width),
            "blocks.0.mlp.fc1.weight": torch.empty(hidden, width),
        }
    torch.save({}, tmp_path / "m.pt")
    monkeypatch.setattr(torch, "load", lambda *_, **__: {"ema_encoder": wrapped(weights)})
    config = load_meta_config(str(tmp_path / "m.pt"))
    assert (config.hidden_size, config.num_hidden_layers) == shape
    assert config.num_attention_heads == heads
    assert int(config.hidden_size * config.mlp_ratio) == hidden
    assert usual_layers(config) == layers


def test_a_table_of_positions_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = save_meta_20(tmp_path / "vitl.pt", model_20(), pos_embed=torch.zeros(1, 8, 64))
    with caplog.at_level(logging.WARNING):
        load_meta_model(str(file))
    assert "absolute positions" in caplog.text


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"blocks.3.attn.qkv.bias": None}, r"lacks 1 weights \(blocks\.3\.attn\.qkv\.bias"),
            ({"reg_tokens": torch.zeros(1, 4, 128)}, r"not implemented \(reg_tokens"),
            ({"pos_embed": torch.zeros(1, 8, 128)}, r"not implemented \(pos_embed"),
            ({"blocks.0.mlp.fc3.weight": torch.zeros(2, 2)}, "SwiGLU"),
            ({"blocks.12.norm1.weight": torch.zeros(128)}, "of 13 layers"),
            ({"patch_embed.proj.weight": None}, "does not hold an encoder of video"),
            ({"patch_embed.proj.weight": torch.zeros(128, 3, 16, 16)}, "does not hold an encoder"),
            ({"patch_embed.proj.weight": torch.zeros(128, 3, 2, 14, 14)}, "patches of 14 pixels"),
            ({"patch_embed.proj.weight": torch.zeros(100, 3, 2, 16, 16)}, "100 channels"),
            ({"img_mod_embed": torch.zeros(1, 2, 128)}, "modality has shape"),
            ({"blocks.5.attn.qkv.weight": torch.zeros(4, 128)}, "query.weight has shape"),
        ],
    )
    def test_other_layouts_of_2_1(self, changes: dict, message: str, tmp_path: Path) -> None:
        file = save_meta_21(tmp_path / "b.pt", **changes)
        with pytest.raises(UserError, match=message) as caught:
            load_meta_model(str(file))
        assert "\n" not in str(caught.value)

    def test_other_layouts_of_2_0(self, tmp_path: Path) -> None:
        file = save_meta_20(tmp_path / "l.pt", model_20(), **{"norm.weight": None})
        with pytest.raises(UserError, match=r"lacks 1 weights \(norm\.weight"):
            load_meta_model(str(file))
        content = torch.load(file, weights_only=True)
        torch.save({"target_encoder": content["encoder"]}, file)
        with pytest.raises(UserError, match="no predictor"):
            load_meta_model(str(file))
        del content["predictor"]["module.backbone.predictor_norm.weight"]
        torch.save({"target_encoder": content["encoder"], "predictor": content["predictor"]}, file)
        with pytest.raises(UserError, match=r"lacks 1 weights \(predictor_norm\.weight"):
            load_meta_model(str(file))

    def test_files_of_another_kind(self, tmp_path: Path) -> None:
        file = tmp_path / "other.pt"
        with pytest.raises(UserError, match="no such file"):
            load_meta_config(str(file))
        file.write_text("no weights")
        with pytest.raises(UserError, match=r"other\.pt is"):
            load_meta_config(str(file))
        torch.save([1, 2], file)
        with pytest.raises(UserError, match="holds a list"):
            load_meta_config(str(file))
        torch.save({"encoder": {}, "predictor": {}}, file)
        with pytest.raises(UserError, match="holds encoder, predictor, but neither ema_encoder"):
            load_meta_config(str(file))
        torch.save({"target_encoder": {"norm.weight": "text"}}, file)
        with pytest.raises(UserError, match="does not hold weights"):
            load_meta_config(str(file))

    def test_a_file_that_would_run_code(self, tmp_path: Path) -> None:
        torch.save({"target_encoder": {}, "args": Path("x")}, tmp_path / "code.pt")
        with pytest.raises(UserError, match="would run its code"):
            load_meta_config(str(tmp_path / "code.pt"))

    def test_training_on_from_2_1(self, tmp_path: Path) -> None:
        file = save_meta_21(tmp_path / "b.pt")
        FrozenBackbone(BackboneConfig(str(file), (12,), (64, 64), 4)).save(tmp_path / "folder")
        with pytest.raises(UserError, match="vjepa2_1 checkpoint, not vjepa2"):
            open_model({}, str(tmp_path / "folder"), (64, 64), 4)
