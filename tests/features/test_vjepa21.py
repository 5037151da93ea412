"""V-JEPA 2.1: features equal a second implementation, which turns complex numbers."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from meta_files import DEPTH, WIDTH, encoder_21, save_meta_21
from safetensors.torch import load_file, save_file
from tiny_models import TINY_HEAD, fitted, tiny_video

from tracker.errors import UserError
from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.features.rotary import grid_positions, spanned_positions
from tracker.points.queries import Queries
from tracker.tracking.config import InferenceConfig, TrackerConfig
from tracker.tracking.tracker import PointTracker
from tracker.video.pixels import normalise

HEADS = 2
HIERARCHICAL = [2, 5, 8, 11]
SIZE = (64, 96)


def backbone_of(source: Path, **changes: object) -> FrozenBackbone:
    settings = {"layers": (3, 6, 9, 12), "input_size": SIZE, "window": 4} | changes
    return FrozenBackbone(BackboneConfig(str(source), **settings))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_meta_21(tmp_path_factory.mktemp("meta") / "vjepa2_1_vitb_dist_vitG_384.pt")


def turns(grid: tuple[int, int, int], channels: int) -> torch.Tensor:
    """Return `(N, channels / 2)` unit complex numbers that turn pairs of channels."""
    pairs = 2 * ((channels // 3) // 2) // 2  # of each axis
    rows = []
    for t in range(grid[0]):
        for y in range(grid[1]):
            for x in range(grid[2]):
                place = (t, y * 15 / (grid[1] - 1), x * 15 / (grid[2] - 1))
                angles = [p * 10000 ** (-i / pairs) for p in place for i in range(pairs)]
                rows.append(angles + [0.0] * (channels // 2 - 3 * pairs))
    angles = torch.tensor(rows, dtype=torch.float64)
    return torch.polar(torch.ones_like(angles), angles)


def reference(frames: torch.Tensor, image: bool) -> list[torch.Tensor]:
    """Run all layers in float64 on `(B, 3, T, H, W)`; return each one's output `(B, N, C)`."""
    weights = {name: value.double() for name, value in encoder_21().items()}

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scale = (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    embed, modality = (
        ("patch_embed_img.proj", "img_mod_embed")
        if image
        else ("patch_embed.proj", "video_mod_embed")
    )
    kernel = weights[f"{embed}.weight"]
    tokens = F.conv3d(frames.double(), kernel, weights[f"{embed}.bias"], stride=kernel.shape[2:])
    grid = tuple(tokens.shape[2:])
    x = tokens.flatten(2).transpose(1, 2) + weights[modality]
    head = WIDTH // HEADS
    turn = turns(grid, head)
    outputs = []
    for layer in range(DEPTH):
        name = f"blocks.{layer}"
        qkv = linear(norm(x, f"{name}.norm1"), f"{name}.attn.qkv")
        heads = []
        for number in range(HEADS):
            query, key, value = (
                qkv[..., kind * WIDTH + number * head : kind * WIDTH + (number + 1) * head]
                for kind in range(3)
            )
            query, key = (
                torch.view_as_complex(part.reshape(*part.shape[:-1], -1, 2)) * turn
                for part in (query, key)
            )
            # The real part of a product with the conjugate is the product of the pairs.
            logits = (query @ key.conj().transpose(1, 2)).real / math.sqrt(head)
            heads.append(logits.softmax(-1) @ value)
        x = x + linear(torch.cat(heads, -1), f"{name}.attn.proj")
        hidden = linear(norm(x, f"{name}.norm2"), f"{name}.mlp.fc1")
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        x = x + linear(hidden, f"{name}.mlp.fc2")
        place = HIERARCHICAL.index(layer) if layer in HIERARCHICAL else None
        outputs.append(x if place is None else norm(x, f"norms_block.{place}"))
    return outputs


def test_video_equals_the_second_implementation(file: Path) -> None:
    """At the layers with norms and at one without, of a grid that is no square."""
    video = torch.rand(2, 4, 3, *SIZE)
    layers = (3, 4, 6, 9, 12)
    features = backbone_of(file, layers=layers)(video).features
    expected = reference(normalise(video).transpose(1, 2), image=False)
    assert features.shape == (2, 5, 2, WIDTH, 4, 6)
    for place, layer in enumerate(layers):
        ours = features[:, place].permute(0, 1, 3, 4, 2).flatten(1, 3)
        torch.testing.assert_close(ours.double(), expected[layer - 1], atol=2e-4, rtol=1e-4)


def test_frames_as_images_equal_the_second_implementation(file: Path) -> None:
    video = torch.rand(1, 3, 3, *SIZE)
    volume = backbone_of(file, frame_mode="image")(video)
    frames = normalise(video)[0][:, :, None]
    expected = reference(frames, image=True)
    assert volume.features.shape == (1, 4, 3, WIDTH, 4, 6)
    assert volume.slot.tolist() == [0, 1, 2] and volume.phase.tolist() == [0, 0, 0]
    for place, layer in enumerate((3, 6, 9, 12)):
        ours = volume.features[0, place].permute(0, 2, 3, 1).flatten(1, 2)
        torch.testing.assert_close(ours.double(), expected[layer - 1], atol=2e-4, rtol=1e-4)


def test_a_single_row_of_patches_has_a_place(file: Path) -> None:
    features = backbone_of(file, input_size=(16, 32))(torch.rand(1, 4, 3, 16, 32)).features
    assert torch.isfinite(features).all()


@settings(deadline=None)
@given(h=st.integers(2, 40), w=st.integers(2, 40), span=st.integers(2, 32))
def test_positions_fill_the_span_whatever_the_grid(h: int, w: int, span: int) -> None:
    places = spanned_positions((2, h, w), span, torch.device("cpu"))
    plain = grid_positions((2, h, w), torch.device("cpu"))
    assert torch.equal(places[:, 0], plain[:, 0].float())
    assert places.amax(0)[1:].tolist() == [span - 1, span - 1] and places.amin(0).sum() == 0
    steps = torch.tensor([(span - 1) / (h - 1), (span - 1) / (w - 1)])
    torch.testing.assert_close(places[:, 1:], plain[:, 1:] * steps)


def test_a_converted_folder_has_the_same_features_to_the_bit(file: Path, tmp_path: Path) -> None:
    read = backbone_of(file)
    assert not read.has_name
    read.save(tmp_path / "folder")
    assert sorted(p.name for p in (tmp_path / "folder").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    video = torch.rand(1, 4, 3, 48, 32)
    for mode in ("tubelet", "image"):
        loaded, expected = (
            backbone_of(source, frame_mode=mode, input_size=(48, 32))
            for source in (tmp_path / "folder", file)
        )
        assert torch.equal(loaded(video).features, expected(video).features)
        assert loaded.fingerprint() == expected.fingerprint()
        assert loaded.identity() == expected.identity()


def test_a_tracker_on_it_is_saved_whole(file: Path, tmp_path: Path) -> None:
    """Template, fingerprints and tracks, with frames as images."""
    config = TrackerConfig(
        BackboneConfig(str(file), (6, 12), (64, 64), 8, "image"),
        TINY_HEAD,
        InferenceConfig(block=8, context=4),
        fine_size=(64, 64),
    )
    tracker = PointTracker(config).eval()
    template = fitted(tracker)
    assert template.mean.shape == (2, 1, WIDTH, 4, 4)
    tracker.template = template
    tracker.save_pretrained(tmp_path / "tracker")
    again = PointTracker.from_pretrained(tmp_path / "tracker")
    assert again.fingerprints == tracker.fingerprints
    assert again.config.backbone.frame_mode == "image"
    tracks = again.track(tiny_video(5), Queries.grid(2, (96, 64)))
    assert tracks.xy.shape == (4, 5, 2)
    with pytest.raises(UserError, match="frame_mode"):
        template.check(backbone_of(file, layers=(6, 12), input_size=(64, 64), window=8))


class TestRefused:
    @pytest.fixture(scope="class")
    def converted(self, file: Path) -> Path:
        backbone_of(file).save(file.parent / "converted")
        return file.parent / "converted"

    @pytest.fixture
    def folder(self, converted: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(converted, tmp_path / "folder"))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"rope_interleaved": False}, "rope_interleaved=False"),
            ({"rope_grid": 24}, "rope_grid=24"),
            ({"rope_theta": 500.0}, "rope_theta=500.0"),
            ({"hierarchical_layers": [2, 5]}, "must ascend to the last"),
            ({"num_hidden_layers": 13}, "must ascend to the last"),
        ],
    )
    def test_fields_of_another_encoder(self, folder: Path, changes: dict, message: str) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
        with pytest.raises(UserError, match=message):
            backbone_of(folder)

    def test_weights_that_are_too_many_or_too_few(self, folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        save_file(weights | {"encoder.register": torch.zeros(2)}, folder / "model.safetensors")
        with pytest.raises(UserError, match=r"encoder\.register"):
            _ = backbone_of(folder).model
        del weights["encoder.norms.1.weight"]
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        with pytest.raises(UserError, match=r"encoder\.norms\.1\.weight"):
            _ = backbone_of(folder).model

    def test_images_to_an_encoder_that_knows_none(self) -> None:
        with pytest.raises(UserError, match="tubelet or offset or duplicate"):
            FrozenBackbone(BackboneConfig("mini-random", frame_mode="image"))
