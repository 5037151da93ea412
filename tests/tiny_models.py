"""Small models with random weights, quick enough for every test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from transformers import VJEPA2Config, VJEPA2Model

from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.features.template import PositionalTemplate
from tracker.features.template_fitter import TemplateFitter
from tracker.head import HeadConfig
from tracker.tracking.config import InferenceConfig, TrackerConfig
from tracker.tracking.tracker import PointTracker
from tracker.video.video import Video

TINY_HEAD = HeadConfig(
    content_channels=16,
    adapter_window=3,
    stem_channels=16,
    iterations=2,
    query_radius=1,
    target_radius=1,
    correlation_channels=16,
    width=32,
    depth=1,
    heads=2,
    reach=8,
)


def tiny_encoder(crop_size: int = 64, **changes: object) -> VJEPA2Model:
    """Return a two-layer encoder whose heads have channels left over by the rotary embedding."""
    settings = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "crop_size": crop_size,
        "frames_per_clip": 8,
        "pred_hidden_size": 32,
        "pred_num_hidden_layers": 1,
        "pred_num_attention_heads": 2,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = VJEPA2Model(VJEPA2Config(**(settings | changes))).eval()
    for layer in model.encoder.layer:
        # As initialised, attention is all but uniform, and positions would not matter.
        layer.attention.query.weight.data *= 15
        layer.attention.key.weight.data *= 15
        layer.attention.value.weight.data *= 5
    return model


def tiny_backbone(**changes: object) -> FrozenBackbone:
    """Return a frozen tiny encoder with layers 1 and 2, 64x64 input and windows of 8."""
    settings = {"source": "tiny", "layers": (1, 2), "input_size": (64, 64), "window": 8}
    return FrozenBackbone(BackboneConfig(**(settings | changes)), tiny_encoder())


def save_tiny_backbone(folder: Path) -> Path:
    """Write a tiny checkpoint as transformers does."""
    tiny_encoder().save_pretrained(folder)
    return folder


def save_other_backbone(folder: Path) -> Path:
    """Write a tiny checkpoint of other weights."""
    model = tiny_encoder()
    model.encoder.layernorm.weight.data += 0.5
    model.save_pretrained(folder)
    return folder


def fitted(tracker: PointTracker, seed: int = 0) -> PositionalTemplate:
    """Return a template of a tracker's backbone, from a few clips of noise."""
    fitter = TemplateFitter(tracker.backbone)
    fitter.update(torch.rand(3, 8, 3, 64, 64, generator=torch.Generator().manual_seed(seed)))
    return fitter.finish()


def forget_fingerprints(folder: Path) -> None:
    """Make a saved tracker one of earlier versions, which recorded none."""
    content = json.loads((folder / "config.json").read_text())
    del content["fingerprints"]
    (folder / "config.json").write_text(json.dumps(content))


def tiny_tracker(
    source: Path | None = None, head: HeadConfig = TINY_HEAD, **inference: object
) -> PointTracker:
    """Return a tracker of random weights; `source` is a saved backbone, None one in memory."""
    config = TrackerConfig(
        BackboneConfig(
            source=str(source or "tiny"),
            layers=(1, 2),
            input_size=(64, 64),
            window=8,
            dtype="float32",  # on every machine
        ),
        head,
        InferenceConfig(**({"block": 8, "context": 4} | inference)),
        fine_size=(64, 64),
    )
    backbone = None if source else FrozenBackbone(config.backbone, tiny_encoder())
    with torch.random.fork_rng():
        torch.manual_seed(1)
        tracker = PointTracker(config, backbone=backbone).eval()
        # Untrained updates are near zero; larger ones let results differ where they should.
        if head.iterations:
            torch.nn.init.normal_(tracker.head.refine.update.weight, std=0.3)
    return tracker


def tiny_video(frames: int = 20, width: int = 96, height: int = 64, seed: int = 0) -> Video:
    """Return smooth noise that moves a pixel a frame."""
    rng = np.random.default_rng(seed)
    noise = rng.random((height // 4, (width + frames) // 4 + 1, 3)).repeat(4, 0).repeat(4, 1)
    picture = (noise * 255).astype(np.uint8)
    stack = np.stack([picture[:height, t : t + width] for t in range(frames)])
    return Video.from_array(stack, name="noise")
