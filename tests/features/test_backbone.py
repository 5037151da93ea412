"""The frozen backbone: right features at every size, nothing trains, errors say what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from einops import rearrange
from tiny_models import save_tiny_backbone, tiny_backbone, tiny_encoder
from transformers import VJEPA2Config, VJEPA2Model

from tracker.errors import UserError
from tracker.features.backbone import BackboneConfig, FrozenBackbone, window_starts
from tracker.features.rotary import grid_positions
from tracker.video.pixels import normalise, resize


def tokens(features: torch.Tensor) -> torch.Tensor:
    return rearrange(features, "b t c h w -> b (t h w) c")


def test_features_equal_transformers_bit_for_bit_at_the_native_size() -> None:
    model = tiny_encoder()
    video = torch.rand(2, 8, 3, 64, 64)
    with torch.no_grad():
        plain = model(normalise(video), skip_predictor=True, output_hidden_states=True)
    features = FrozenBackbone(
        BackboneConfig("tiny", layers=(1, 2), input_size=(64, 64), window=8), model
    )(video).features
    assert torch.equal(tokens(features[:, 0]), plain.hidden_states[1])
    assert torch.equal(tokens(features[:, 1]), plain.last_hidden_state)


@pytest.mark.parametrize("size", [(32, 96), (96, 32), (48, 80), (128, 128)])
def test_positions_are_right_at_other_sizes_and_stock_ones_are_not(size: tuple[int, int]) -> None:
    backbone = tiny_backbone(input_size=size, layers=(2,))
    video = torch.rand(1, 4, 3, *size)
    ours = tokens(backbone(video).features[:, 0])
    height, width = size[0] // 16, size[1] // 16
    # A square model large enough for the grid, told each token's place in *its* grid.
    side = max(height, width)
    model = tiny_encoder(crop_size=16 * side)
    model.load_state_dict(backbone.model.state_dict())
    t, h, w = grid_positions((2, height, width), torch.device("cpu")).unbind(1)
    ids = (t * side * side + h * side + w)[None]
    with torch.no_grad():
        hidden = model.encoder.embeddings(normalise(video))
        for layer in model.encoder.layer:
            hidden = layer(hidden, ids)[0]
        right = model.encoder.layernorm(hidden)
        stock = backbone.model(normalise(video), skip_predictor=True).last_hidden_state
    torch.testing.assert_close(ours, right, atol=2e-5, rtol=1e-4)
    assert (ours - stock).abs().max() > 1e-3


def test_nothing_trains() -> None:
    backbone = tiny_backbone()
    assert not backbone.model.training
    assert not any(p.requires_grad for p in backbone.model.parameters())
    features = backbone(torch.rand(1, 8, 3, 64, 64, requires_grad=True)).features
    assert not features.requires_grad


@pytest.mark.parametrize(
    ("mode", "slots", "slot", "phase"),
    [
        ("tubelet", 4, [0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 2, 3]),
        ("offset", 8, list(range(8)), [0, 0, 1, 1, 2, 2, 3, 3]),
        ("duplicate", 8, list(range(8)), list(range(8))),
    ],
)
def test_frame_modes(mode: str, slots: int, slot: list[int], phase: list[int]) -> None:
    volume = tiny_backbone(frame_mode=mode)(torch.rand(1, 8, 3, 64, 64))
    assert volume.features.shape == (1, 2, slots, 64, 4, 4)
    assert volume.slot.tolist() == slot
    assert volume.phase.tolist() == phase


def test_offset_mode_interleaves_a_pass_that_starts_a_frame_later() -> None:
    video = torch.rand(1, 8, 3, 64, 64)
    offset = tiny_backbone(frame_mode="offset")(video).features
    plain = tiny_backbone()
    assert torch.equal(offset[:, :, 0::2], plain(video).features)
    later = torch.cat([video[:, 1:], video[:, -1:]], 1)
    assert torch.equal(offset[:, :, 1::2], plain(later).features)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 9, 13, 16, 21])
@pytest.mark.parametrize("mode", ["tubelet", "offset", "duplicate"])
def test_every_frame_has_a_slot_at_any_length(length: int, mode: str) -> None:
    volume = tiny_backbone(frame_mode=mode)(torch.rand(1, length, 3, 64, 64))
    assert len(volume.slot) == length
    assert len(volume.phase) == volume.features.shape[2]
    assert int(volume.slot.max()) == volume.features.shape[2] - 1
    assert (volume.slot.diff() >= 0).all()
    assert torch.isfinite(volume.features).all()


def test_last_window_is_full_and_overlaps() -> None:
    assert window_starts(40, 16) == [(0, 0), (16, 16), (24, 32)]
    assert window_starts(5, 16) == [(0, 0)]
    backbone = tiny_backbone()
    video = torch.rand(1, 12, 3, 64, 64)
    whole, end = backbone(video), backbone(video[:, 4:])
    for frame in range(8, 12):
        ours = whole.features[:, :, whole.slot[frame]]
        assert torch.equal(ours, end.features[:, :, end.slot[frame - 4]])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_precision_follows_the_config(dtype: str) -> None:
    half = tiny_backbone(dtype=dtype)(torch.rand(1, 4, 3, 64, 64)).features
    assert half.dtype == getattr(torch, dtype)
    assert torch.isfinite(half.float()).all()


def test_frames_are_resized_to_the_input_size() -> None:
    video = torch.rand(1, 4, 3, 90, 120)
    backbone = tiny_backbone()
    assert torch.equal(backbone(video).features, backbone(resize(video, (64, 64))).features)


def test_a_saved_checkpoint_gives_the_same_features_and_fingerprint(tmp_path: Path) -> None:
    folder = save_tiny_backbone(tmp_path / "tiny")
    settings = {"layers": (1, 2), "input_size": (64, 64), "window": 8}
    loaded = FrozenBackbone(BackboneConfig(str(folder), **settings))
    video = torch.rand(1, 4, 3, 64, 64)
    assert torch.equal(loaded(video).features, tiny_backbone()(video).features)
    tiny_encoder().half().save_pretrained(tmp_path / "half")
    half = FrozenBackbone(BackboneConfig(str(tmp_path / "half"), **settings))
    assert half.fingerprint() == loaded.fingerprint()


def test_what_is_in_memory_is_saved_as_it_was_given(tmp_path: Path) -> None:
    """Not as it was rounded for a device."""
    backbone = tiny_backbone(dtype="bfloat16")
    video = torch.rand(1, 4, 3, 64, 64)
    backbone(video)
    backbone.save(tmp_path / "new" / "tiny")
    settings = {"layers": (1, 2), "input_size": (64, 64), "window": 8}
    loaded = FrozenBackbone(BackboneConfig(str(tmp_path / "new" / "tiny"), **settings))
    assert torch.equal(loaded(video).features, tiny_backbone()(video).features)
    assert loaded.fingerprint() == backbone.fingerprint()
    plain = VJEPA2Model.from_pretrained(tmp_path / "new" / "tiny")
    assert torch.equal(plain.encoder.layernorm.weight, loaded.model.encoder.layernorm.weight)


def test_a_folder_is_copied_and_a_name_stays_a_name(tmp_path: Path) -> None:
    folder = save_tiny_backbone(tmp_path / "tiny")
    local = FrozenBackbone(BackboneConfig(str(folder), (1,), (64, 64), 8))
    local.save(tmp_path / "copy")
    assert not local.has_name
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "copy" / file).read_bytes() == (folder / file).read_bytes()
    named = FrozenBackbone(BackboneConfig("mini-random", input_size=(64, 64), window=4))
    assert named.has_name and not tiny_backbone().has_name
    with pytest.raises(UserError, match="mini-random is loaded by its name"):
        named.save(tmp_path / "named")


def test_weights_are_read_at_the_first_use(tmp_path: Path) -> None:
    folder = save_tiny_backbone(tmp_path / "tiny")
    (folder / "model.safetensors").unlink()
    backbone = FrozenBackbone(
        BackboneConfig(str(folder), layers=(1,), input_size=(64, 64), window=8)
    )
    assert backbone.channels == 64
    with pytest.raises(UserError, match=r"tiny.*cannot be loaded"):
        backbone(torch.rand(1, 2, 3, 64, 64))


def test_weights_rounded_for_a_gpu_are_read_again_for_the_cpu(tmp_path: Path) -> None:
    folder = save_tiny_backbone(tmp_path / "tiny")
    backbone = FrozenBackbone(
        BackboneConfig(str(folder), layers=(1,), input_size=(64, 64), window=8)
    )
    video = torch.rand(1, 2, 3, 64, 64)
    expected = backbone(video).features
    backbone.model.to(torch.bfloat16)
    assert torch.equal(backbone(video).features, expected)


def test_large_checkpoint_of_the_published_shape(tmp_path: Path) -> None:
    config = VJEPA2Config(num_hidden_layers=2, pred_num_hidden_layers=1)
    assert (config.hidden_size, config.num_attention_heads) == (1024, 16)
    VJEPA2Model(config).save_pretrained(tmp_path / "vitl")
    backbone = FrozenBackbone(
        BackboneConfig(str(tmp_path / "vitl"), layers=(1, 2), input_size=(64, 96), window=4)
    )
    features = backbone(torch.rand(1, 4, 3, 64, 96)).features
    assert features.shape == (1, 2, 2, 1024, 4, 6)


def test_mini_random_is_the_same_each_time_and_leaves_the_generator_alone() -> None:
    config = BackboneConfig("mini-random", input_size=(64, 64), window=4)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = FrozenBackbone(config).fingerprint()
    assert torch.equal(torch.rand(3), expected)
    assert FrozenBackbone(config).fingerprint() == first


class TestErrors:
    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"nowhere.*config\.json"):
            FrozenBackbone(BackboneConfig(str(tmp_path / "nowhere")))

    def test_unknown_hub_id(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(UserError, match=r"no-such/model.*neither a folder nor a hub id"):
            FrozenBackbone(BackboneConfig("no-such/model"))

    def test_damaged_weights(self, tmp_path: Path) -> None:
        folder = save_tiny_backbone(tmp_path / "tiny")
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        backbone = FrozenBackbone(BackboneConfig(str(folder), (1,), (64, 64), 8))
        with pytest.raises(UserError, match="cannot be loaded"):
            backbone(torch.rand(1, 2, 3, 64, 64))

    def test_weights_of_another_model(self, tmp_path: Path) -> None:
        folder = save_tiny_backbone(tmp_path / "tiny")
        config = json.loads((folder / "config.json").read_text())
        config["num_hidden_layers"] = 3
        (folder / "config.json").write_text(json.dumps(config))
        backbone = FrozenBackbone(BackboneConfig(str(folder), (3,), (64, 64), 8))
        with pytest.raises(UserError, match=r"lacks .* weights of the encoder"):
            backbone(torch.rand(1, 2, 3, 64, 64))

    def test_another_kind_of_checkpoint(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
        with pytest.raises(UserError, match="bert has no patches of pixels"):
            FrozenBackbone(BackboneConfig(str(tmp_path)))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"layers": (3,)}, "has layers 1..2"),
            ({"layers": ()}, "has layers 1..2"),
            ({"input_size": (60, 64)}, "multiples of 16"),
            ({"window": 7}, "even number"),
            ({"frame_mode": "other"}, "tubelet, offset or duplicate"),
            ({"input_size": (64,)}, "height and width"),
            ({"input_size": 64}, "height and width"),
            ({"dtype": "bf16"}, "float32, bfloat16 or float16"),
        ],
    )
    def test_settings_that_do_not_fit(self, changes: dict, message: str) -> None:
        with pytest.raises(UserError, match=message):
            tiny_backbone(**changes)

    def test_pixels_that_are_not_finite(self) -> None:
        video = torch.rand(1, 4, 3, 64, 64)
        video[0, 1, 0, 3, 3] = float("nan")
        with pytest.raises(UserError, match="NaN"):
            tiny_backbone()(video)


@pytest.mark.parametrize("mode", ["tubelet", "offset", "duplicate"])
@pytest.mark.parametrize("at_once", [2, 3])
def test_windows_of_one_batch_are_those_encoded_one_by_one(mode: str, at_once: int) -> None:
    backbone, frames = tiny_backbone(frame_mode=mode), torch.rand(2, 20, 3, 64, 64)
    starts = [0, 8, 12]
    alone = list(backbone.encode_windows(frames, starts, 1))
    together = list(backbone.encode_windows(frames, starts, at_once))
    assert len(alone) == len(together) == 3
    for (one, slot), (other, same) in zip(alone, together, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
        assert torch.equal(slot, same)
