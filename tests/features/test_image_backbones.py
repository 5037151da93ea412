"""Encoders of pictures as frozen backbones: each frame on its own, by the same calls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny_models import TINY_HEAD, fitted, tiny_video
from tiny_teachers import FAMILIES, save_tiny_teacher
from transformers import AutoModel, BertConfig

from tracker.errors import UserError
from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.features.sources import frame_modes, load_architecture, random_encoder, usual_layers
from tracker.points.queries import Queries
from tracker.tracking.config import InferenceConfig, TrackerConfig
from tracker.tracking.tracker import PointTracker
from tracker.video.pixels import IMAGENET_MEAN, IMAGENET_STD

SIZE = (112, 224)
"""Multiples of DINOv2's patches of 14 pixels and of the others' 16."""


def backbone_of(source: Path | str, **changes: object) -> FrozenBackbone:
    settings = {"layers": (1, 2), "input_size": SIZE, "window": 4, "frame_mode": "image"} | changes
    return FrozenBackbone(BackboneConfig(str(source), **settings))


@pytest.mark.parametrize("family", FAMILIES)
def test_each_frame_is_described_alone(family: str, tmp_path: Path) -> None:
    backbone = backbone_of(save_tiny_teacher(family, tmp_path))
    video = torch.rand(2, 6, 3, *SIZE)
    volume = backbone(video)
    assert volume.features.shape == (2, 2, 6, 32, *backbone.grid)
    assert volume.slot.tolist() == list(range(6)) and volume.phase.tolist() == [0] * 6
    alone = backbone(video[1:, 4:5]).features
    torch.testing.assert_close(volume.features[1:, :, 4:5], alone, atol=1e-5, rtol=1e-4)
    assert usual_layers(backbone.architecture) == (1, 2)


def test_features_are_those_of_transformers(tmp_path: Path) -> None:
    """With the colours that the checkpoint's preprocessor says, or else ImageNet's."""
    folder = save_tiny_teacher("dinov2", tmp_path)
    video = torch.rand(1, 2, 3, 56, 56)
    model = AutoModel.from_pretrained(folder).eval()

    def expected(mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
        shift, scale = (torch.tensor(v)[:, None, None] for v in (mean, std))
        with torch.no_grad():
            tokens = model(pixel_values=(video[0] - shift) / scale).last_hidden_state
        return tokens[:, 1:]

    def ours() -> torch.Tensor:
        features = backbone_of(folder, layers=(2,), input_size=(56, 56))(video).features
        return features[0, 0].permute(0, 2, 3, 1).flatten(1, 2)

    torch.testing.assert_close(ours(), expected(IMAGENET_MEAN, IMAGENET_STD))
    colours = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.2, 0.3, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(colours))
    torch.testing.assert_close(ours(), expected((0.5, 0.5, 0.5), (0.2, 0.3, 0.4)))


def test_siglip2_gets_its_patches_cut(tmp_path: Path) -> None:
    """Row by row, pixel by pixel, the three colours of a pixel side by side."""
    folder = save_tiny_teacher("siglip2", tmp_path)
    video = torch.rand(1, 1, 3, 32, 48)
    model = AutoModel.from_pretrained(folder).eval().vision_model
    shift, scale = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    pixels = ((video[0, 0] - shift) / scale).permute(1, 2, 0)
    corners = [(y, x) for y in (0, 16) for x in (0, 16, 32)]
    patches = torch.stack([pixels[y : y + 16, x : x + 16].flatten() for y, x in corners])[None]
    with torch.no_grad():
        tokens = model(patches, torch.ones(1, 6), torch.tensor([[2, 3]])).last_hidden_state
    features = backbone_of(folder, layers=(2,), input_size=(32, 48))(video).features
    torch.testing.assert_close(features[0, 0, 0].flatten(1).T, tokens[0])


def test_a_tracker_on_it_is_saved_whole(tmp_path: Path) -> None:
    folder = save_tiny_teacher("dinov3", tmp_path / "dino")
    colours = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.2, 0.3, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(colours))
    config = TrackerConfig(
        BackboneConfig(str(folder), (1, 2), (64, 64), 8, "image"),
        TINY_HEAD,
        InferenceConfig(block=8, context=4),
        fine_size=(64, 64),
    )
    tracker = PointTracker(config).eval()
    tracker.template = fitted(tracker)
    assert tracker.template.mean.shape == (2, 1, 32, 4, 4)
    tracker.save_pretrained(tmp_path / "tracker")
    again = PointTracker.from_pretrained(tmp_path / "tracker")
    assert again.fingerprints == tracker.fingerprints
    video = tiny_video(5)
    frames = torch.rand(1, 3, 3, 64, 64)
    assert torch.equal(again.backbone(frames).features, tracker.backbone(frames).features)
    assert again.track(video, Queries.grid(2, (96, 64))).xy.shape == (4, 5, 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_weights_of_the_same_architecture(family: str, tmp_path: Path) -> None:
    architecture = load_architecture(str(save_tiny_teacher(family, tmp_path)))
    video = torch.rand(1, 2, 3, *SIZE)
    config = backbone_of(tmp_path).config
    first, second = (
        FrozenBackbone(config, random_encoder(architecture))(video).features for _ in range(2)
    )
    assert torch.equal(first, second)
    assert first.shape == backbone_of(tmp_path)(video).features.shape


def test_efficientnet() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    architecture = load_architecture("efficientnet-lite2")
    assert (usual_layers(architecture), frame_modes(architecture)) == ((12, 15), ("image",))
    backbone = backbone_of("efficientnet-lite2", layers=(12, 15), input_size=(64, 96))
    assert backbone.has_name and backbone.channels == 120
    features = backbone(torch.rand(1, 3, 3, 64, 96)).features
    assert features.shape == (1, 2, 3, 120, 4, 6)
    assert features[:, 1].std() > 1  # trained weights, not those of a new network
    with pytest.raises(UserError, match=r"has layers 12\.\.15"):
        backbone_of("efficientnet-lite2", layers=(8, 15))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_precision_follows_the_config(dtype: str, tmp_path: Path) -> None:
    backbone = backbone_of(save_tiny_teacher("siglip", tmp_path), dtype=dtype)
    features = backbone(torch.rand(1, 2, 3, *SIZE)).features
    assert features.dtype == getattr(torch, dtype) and torch.isfinite(features.float()).all()


class TestRefused:
    def test_frames_in_tubelets(self, tmp_path: Path) -> None:
        folder = save_tiny_teacher("dinov2", tmp_path)
        with pytest.raises(UserError, match=r"shown frames as image; choose with"):
            backbone_of(folder, frame_mode="tubelet")
        with pytest.raises(UserError, match="multiples of 14"):
            backbone_of(folder, input_size=(64, 64))

    def test_models_without_patches(self, tmp_path: Path) -> None:
        BertConfig().save_pretrained(tmp_path / "bert")
        with pytest.raises(UserError, match="a bert has no patches of pixels"):
            backbone_of(tmp_path / "bert")

    def test_weights_that_are_not_there(self, tmp_path: Path) -> None:
        folder = save_tiny_teacher("vit", tmp_path)
        (folder / "model.safetensors").write_bytes(b"no weights")
        with pytest.raises(UserError, match="cannot be loaded"):
            _ = backbone_of(folder).model
