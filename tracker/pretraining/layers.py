"""An encoder's layers in training: the arithmetic of `tracker.features.rotary`, made for gradients.

On CPUs the backward pass of torch's fused attention takes four times as long as plain products for
the few hundred tokens of a crop, and three small products longer than a large one.
Shapes: B clips, N tokens, C channels, D the width of an attention head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from tracker.features.rotary import grid_positions, rotary_tables, run_layer

if TYPE_CHECKING:
    from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2Layer

Rotary = tuple[Tensor, Tensor]


def train_layer(layer: VJEPA2Layer, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Run a layer on `(B, N, C)` with tables `(N, D)` or `(B, 1, N, D)`."""
    if hidden.device.type != "cpu":
        return run_layer(layer, hidden, cos, sin)
    attention = layer.attention
    parts = (attention.query, attention.key, attention.value)
    joined = F.linear(
        layer.norm1(hidden),
        torch.cat([part.weight for part in parts]),
        torch.cat([part.bias for part in parts]) if parts[0].bias is not None else None,
    )
    query, key, value = rearrange(
        joined, "b n (three heads d) -> three b heads n d", three=3, heads=layer.attention.num_attention_heads
    )
    query = _rotate(query, cos * attention.scaling, sin * attention.scaling)
    weights = (query @ _rotate(key, cos, sin).transpose(-1, -2)).softmax(-1).to(value)
    mixed = rearrange(weights @ value, "b heads n d -> b n (heads d)")
    hidden = attention.proj(mixed) + hidden
    return layer.mlp(layer.norm2(hidden)) + hidden


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`rotary.rotate` without the tensors in between."""
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos.unflatten(-1, (-1, 2)), sin.unflatten(-1, (-1, 2))
    turned = (
        first * cos[..., 0] - second * sin[..., 0],
        second * cos[..., 1] + first * sin[..., 1],
    )
    return torch.stack(turned, -1).flatten(-2)


def tables_of(part: nn.Module, grid: tuple[int, int, int], ids: Tensor | None = None) -> Rotary:
    """Return an encoder's or predictor's rotary tables, in the precision of autocast.

    Args:
        part: with `layer`.
        grid: `(t, h, w)` tokens of a clip.
        ids: `(B, n)` tokens; None for all.

    Returns:
        Cosines and sines, `(B, 1, n, D)`, or `(N, D)` for all.
    """
    device = next(part.parameters()).device
    positions = grid_positions(grid, device)
    cos, sin = rotary_tables(part.layer[0].attention, positions, torch.float32)
    if torch.is_autocast_enabled(device.type):
        # Float32 tables would turn queries and keys back to float32.
        dtype = torch.get_autocast_dtype(device.type)
        cos, sin = cos.to(dtype), sin.to(dtype)
    return (cos, sin) if ids is None else (cos[ids][:, None], sin[ids][:, None])
