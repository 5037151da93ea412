"""Where each weight of Meta's checkpoints belongs, by name.

Meta's encoders and transformers' have the same weights under other names, but that Meta keeps
queries, keys and values in one matrix.
"""

from __future__ import annotations

import re

from torch import Tensor

from tracker.errors import UserError

Weights = dict[str, Tensor]

BLOCK = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
"""Parts of a layer, each of a weight and a bias."""

RENAMES = (
    (r"^patch_embed\.proj", "encoder.embeddings.patch_embeddings.proj"),
    (r"^blocks\.", "encoder.layer."),
    (r"^norm\.", "encoder.layernorm."),
    (r"^predictor_embed\.", "predictor.embeddings.predictor_embeddings."),
    (r"^predictor_blocks\.", "predictor.layer."),
    (r"^predictor_norm\.", "predictor.layernorm."),
    (r"^predictor_proj\.", "predictor.proj."),
    (r"\.attn\.", ".attention."),
)
"""From Meta's names to transformers' ones."""

RENAMES_21 = (
    (r"^patch_embed\.", "encoder.embeddings."),
    (r"^patch_embed_img\.", "encoder.image_embeddings."),
    (r"^video_mod_embed$", "encoder.embeddings.modality"),
    (r"^img_mod_embed$", "encoder.image_embeddings.modality"),
    (r"^norms_block\.", "encoder.norms."),
    *RENAMES,
)


def count_layers(weights: Weights, name: str) -> int:
    """Return how many layers there are of a name, counted from 0."""
    found = (re.match(rf"{name}\.(\d+)\.", key) for key in weights)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def _both(*parts: str) -> set[str]:
    return {f"{part}.{kind}" for part in parts for kind in ("weight", "bias")}


def _layers(name: str, depth: int) -> set[str]:
    return _both(*(f"{name}.{layer}.{part}" for layer in range(depth) for part in BLOCK))


def names_of_20(depth: int) -> set[str]:
    """Return the names of a V-JEPA 2.0 encoder's weights."""
    return _both("patch_embed.proj", "norm") | _layers("blocks", depth)


def names_of_21(depth: int) -> set[str]:
    """Return the names of a V-JEPA 2.1 encoder's weights."""
    parts = ("patch_embed.proj", "patch_embed_img.proj", *(f"norms_block.{i}" for i in range(4)))
    return _both(*parts) | _layers("blocks", depth) | {"video_mod_embed", "img_mod_embed"}


def names_of_predictor(depth: int, masks: int) -> set[str]:
    """Return the names of a V-JEPA 2.0 predictor's weights, of so many layers and mask tokens."""
    parts = _both("predictor_embed", "predictor_norm", "predictor_proj")
    return parts | _layers("predictor_blocks", depth) | {f"mask_tokens.{i}" for i in range(masks)}


def check_names(weights: Weights, expected: set[str], source: str) -> None:
    """Fail unless each weight is one that the model has, and it has no others.

    Raises:
        UserError: names the first weight that is missing or unknown.
    """
    missing, unknown = expected - weights.keys(), weights.keys() - expected
    remedy = "name a V-JEPA 2 or 2.1 checkpoint as Meta publishes it"
    if missing:
        raise UserError(f"{source} lacks {len(missing)} weights ({min(missing)} ...); {remedy}")
    if unknown:
        raise UserError(
            f"{source} holds {len(unknown)} weights of what is not implemented "
            f"({min(unknown)} ...); {remedy}"
        )


def rename(weights: Weights, renames: tuple[tuple[str, str], ...]) -> Weights:
    """Give weights transformers' names, and queries, keys and values matrices of their own."""
    renamed: Weights = {}
    for name, value in weights.items():
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        parts = {name: value}
        if ".qkv." in name:
            kinds = ("query", "key", "value")
            parts = {
                name.replace("qkv", kind): part
                for kind, part in zip(kinds, value.tensor_split(3), strict=True)
            }
        renamed |= parts
    return renamed
