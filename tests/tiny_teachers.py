"""Small networks of the families that can teach, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    AutoModel,
    Dinov2Config,
    DINOv3ViTConfig,
    Siglip2Config,
    SiglipConfig,
    ViTConfig,
)

SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
TEXT = SHAPE | {"vocab_size": 8, "pad_token_id": 0, "bos_token_id": 1}
FAMILIES = {
    "dinov2": lambda: Dinov2Config(**SHAPE, patch_size=14, image_size=56),
    "dinov3": lambda: DINOv3ViTConfig(**SHAPE, patch_size=16, image_size=64, num_register_tokens=4),
    "vit": lambda: ViTConfig(**SHAPE, patch_size=16, image_size=64),
    "siglip": lambda: SiglipConfig(
        vision_config=SHAPE | {"patch_size": 16, "image_size": 64},
        text_config=TEXT,
    ),
    "siglip2": lambda: Siglip2Config(
        vision_config=SHAPE | {"patch_size": 16, "num_patches": 16}, text_config=TEXT
    ),
}


def save_tiny_teacher(family: str, folder: Path) -> Path:
    """Write a checkpoint of a family as transformers does."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(FAMILIES[family]()).save_pretrained(folder)
    return folder
