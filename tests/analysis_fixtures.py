"""Fixtures of the analyzes: a tiny checkpoint in a folder, and features opened on it.

torch is imported inside them, for this module is loaded with every test run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tracker.video.video import Video

if TYPE_CHECKING:
    from tracker.analysis.features import Features


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a two-layer encoder of 64 channels."""
    from tiny_models import save_tiny_backbone

    return save_tiny_backbone(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def large_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first two layers of ViT-L's architecture, random weights."""
    import torch
    from transformers import VJEPA2Config, VJEPA2Model

    folder = tmp_path_factory.mktemp("checkpoint") / "vitl"
    config = VJEPA2Config(
        hidden_size=1024,
        num_attention_heads=16,
        num_hidden_layers=2,
        crop_size=256,
        pred_hidden_size=32,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        VJEPA2Model(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def damaged_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose weights give NaN features."""
    import torch
    from tiny_models import tiny_encoder

    folder = tmp_path_factory.mktemp("checkpoint") / "nan"
    model = tiny_encoder()
    model.encoder.layernorm.weight.data[0] = torch.nan
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def open_features(checkpoint: Path) -> Callable[..., Features]:
    """Open features of the tiny checkpoint at 64x64 pixels and windows of 8 frames."""
    from tracker.analysis.features import Features, Settings

    def open_(**changes: object) -> Features:
        settings = {"backbone": str(checkpoint), "size": (64, 64), "window": 8, "clips": 4}
        return Features.open(Settings(**(settings | changes)))

    return open_


def flashing_video(length: int, at: int) -> Video:
    """A still video with one tubelet that differs."""
    video = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8).repeat(length, 0)
    video[at : at + 2] = 255 - video[at : at + 2]
    return Video.from_array(video)
