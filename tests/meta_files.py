"""Small checkpoints of random weights in exactly the layout of Meta's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import VJEPA2Model

Weights = dict[str, Tensor]

WIDTH, HIDDEN, DEPTH = 128, 192, 12
"""Two heads of 64 channels, as all of Meta's but ViT-H have; 12 layers, as ViT-B has."""


def random_weights(shapes: dict[str, tuple[int, ...]], seed: int) -> Weights:
    """Return weights large enough that attention is not even, and norms that do something."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if "norm" in name:
            weights[name] = 0.2 * values + ("weight" in name)
        else:
            weights[name] = values * (0.15 if ".qkv." in name else 0.05)
    return weights


def encoder_21(depth: int = DEPTH, width: int = WIDTH, seed: int = 0) -> Weights:
    """Return a V-JEPA 2.1 encoder's weights under Meta's names."""
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embed.proj.weight": (width, 3, 2, 16, 16),
        "patch_embed.proj.bias": (width,),
        "patch_embed_img.proj.weight": (width, 3, 1, 16, 16),
        "patch_embed_img.proj.bias": (width,),
        "img_mod_embed": (1, 1, width),
        "video_mod_embed": (1, 1, width),
    }
    for layer in range(depth):
        parts = {
            "norm1": (width,),
            "attn.qkv": (3 * width, width),
            "attn.proj": (width, width),
            "norm2": (width,),
            "mlp.fc1": (HIDDEN, width),
            "mlp.fc2": (width, HIDDEN),
        }
        for part, shape in parts.items():
            shapes[f"blocks.{layer}.{part}.weight"] = shape
            shapes[f"blocks.{layer}.{part}.bias"] = shape[:1]
    for norm in range(4):
        shapes[f"norms_block.{norm}.weight"] = shapes[f"norms_block.{norm}.bias"] = (width,)
    return random_weights(shapes, seed)


def wrapped(weights: Weights) -> Weights:
    """Return weights under the names that they have after training on several GPUs."""
    return {f"module.backbone.{name}": value for name, value in weights.items()}


def save_meta_21(path: Path, **encoder: Tensor | None) -> Path:
    """Write a distilled V-JEPA 2.1; tensors replace or, as None, remove the encoder's."""
    weights = {k: v for k, v in (encoder_21() | encoder).items() if v is not None}
    others = wrapped({"patch_embed.proj.weight": torch.zeros(3, 3, 2, 16, 16)})
    content: dict[str, Any] = {
        "encoder": others,
        "predictor": wrapped({"predictor_embed.0.weight": torch.zeros(3, 3)}),
        "ema_encoder": wrapped(weights),
        "target_encoder": others,  # the teacher
        "opt": {"state": {}, "param_groups": [{"lr": 1e-4}]},
        "epoch": 3,
    }
    torch.save(content, path)
    return path


def save_meta_20(path: Path, model: VJEPA2Model, **encoder: Tensor | None) -> Path:
    """Write transformers' V-JEPA 2.0 as Meta does; tensors replace or remove the encoder's."""
    state = model.state_dict()
    weights = _to_meta({k: v for k, v in state.items() if k.startswith("encoder.")})
    predictor = _to_meta({k: v for k, v in state.items() if k.startswith("predictor.")})
    for number, token in enumerate(predictor.pop("predictor.embeddings.mask_tokens")):
        predictor[f"mask_tokens.{number}"] = token
    changed = {k: v for k, v in (weights | encoder).items() if v is not None}
    content = {
        "encoder": wrapped(weights),
        "predictor": wrapped(predictor),
        "target_encoder": wrapped(changed),
        "epoch": 3,
    }
    torch.save(content, path)
    return path


def _to_meta(state: Weights) -> Weights:
    names = {
        "encoder.embeddings.patch_embeddings.": "patch_embed.",
        "encoder.layer.": "blocks.",
        "encoder.layernorm.": "norm.",
        "predictor.embeddings.predictor_embeddings.": "predictor_embed.",
        "predictor.layer.": "predictor_blocks.",
        "predictor.layernorm.": "predictor_norm.",
        "predictor.proj.": "predictor_proj.",
    }
    renamed = {}
    for name, value in state.items():
        for theirs, metas in names.items():
            if name.startswith(theirs):
                name = metas + name.removeprefix(theirs)
        renamed[name.replace(".attention.", ".attn.")] = value
    for name in [name for name in renamed if ".attn.query." in name]:
        parts = [renamed.pop(name.replace("query", kind)) for kind in ("query", "key", "value")]
        renamed[name.replace("query", "qkv")] = torch.cat(parts)
    return renamed
