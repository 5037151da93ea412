"""Running V-JEPA 2's layers with rotary positions of the real patch grid.

transformers derives positions from `config.crop_size` alone, a square: any other input gets wrong
positions without an error. Here they are told, as cosines and sines computed once for all layers.
Shapes: B videos, N tokens, C channels, D the width of an attention head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

if TYPE_CHECKING:
    from transformers.models.vjepa2.modeling_vjepa2 import (
        VJEPA2Encoder,
        VJEPA2Layer,
        VJEPA2Predictor,
        VJEPA2RopeAttention,
    )

Rotary = tuple[Tensor, Tensor]
"""Cosines and sines of tokens' positions: `(N, D)` for all clips, or `(B, 1, N, D)`."""


def run_layer(layer: VJEPA2Layer, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Run one of transformers' layers with rotary tables computed by `rotary_tables`.

    Args:
        layer: of an encoder or predictor.
        hidden: `(B, N, C)` tokens.
        cos: `(N, D)` or `(B, 1, N, D)`, D the width of an attention head.
        sin: of the same shape.

    Returns:
        `(B, N, C)`.
    """
    attention = layer.attention
    normed = layer.norm1(hidden)
    query, key, value = (
        rearrange(
            project(normed), "b n (heads d) -> b heads n d", heads=attention.num_attention_heads
        )
        for project in (attention.query, attention.key, attention.value)
    )
    query, key = rotate(query, cos, sin), rotate(key, cos, sin)
    mixed = attend(query, key, value, attention.scaling)
    hidden = attention.proj(rearrange(mixed, "b heads n d -> b n (heads d)")) + hidden
    return layer.mlp(layer.norm2(hidden)) + hidden


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Attend, `(B, heads, N, D)` each.

    On CPUs torch's fused attention takes four times as long as plain products for the gradients of
    the few hundred tokens of a clip in training; without gradients it is the faster one. They are
    products of float32 under autocast too: attention is nearly even at first, and what differs
    drowns in bfloat16's rounding.
    """
    if query.device.type != "cpu" or not query.requires_grad:
        return F.scaled_dot_product_attention(query, key, value, scale=scale)
    with torch.autocast("cpu", enabled=False):
        alike = (scale * query.float()) @ key.float().transpose(-1, -2)
        return alike.softmax(-1) @ value.float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """V-JEPA 2's rotary embedding: pairs of neighbouring channels, frequencies tiled."""
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    return x * cos + torch.stack((-second, first), -1).flatten(-2) * sin


def grid_positions(grid: tuple[int, int, int], device: torch.device) -> Tensor:
    """Return `(t*h*w, 3)` the (t, h, w) of every token, in the encoder's order."""
    axes = [torch.arange(n, device=device) for n in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def layers_of(stack: VJEPA2Encoder | VJEPA2Predictor) -> Sequence[VJEPA2Layer]:
    """Return the layers of an encoder or predictor; torch's list does not say of what kind."""
    return cast("Sequence[VJEPA2Layer]", stack.layer)


def tables_of(
    stack: VJEPA2Encoder | VJEPA2Predictor,
    grid: tuple[int, int, int],
    ids: Tensor | None = None,
) -> Rotary:
    """Return the rotary tables that an encoder's or predictor's layers take.

    Args:
        stack: whose layers will run.
        grid: `(t, h, w)` tokens of a clip.
        ids: `(B, N)` numbers of the tokens that will be shown; None for all.

    Returns:
        Cosines and sines `(B, 1, N, D)`, or `(t*h*w, D)` for all, in the precision of queries and
        keys: tables of float32 would turn these back to float32, as they are to be on a CPU, see
        `attend`.
    """
    weight = next(stack.parameters())
    kind = weight.device.type
    autocast = kind != "cpu" and torch.is_autocast_enabled(kind)
    dtype = torch.get_autocast_dtype(kind) if autocast else weight.dtype
    positions = grid_positions(grid, weight.device)
    cos, sin = rotary_tables(layers_of(stack)[0].attention, positions, dtype)
    return (cos, sin) if ids is None else (cos[ids][:, None], sin[ids][:, None])


def rotary_tables(attention: VJEPA2RopeAttention, positions: Tensor, dtype: torch.dtype) -> Rotary:
    """Return cosines and sines `(..., N, D)` for tokens at positions `(..., N, 3)`.

    A third of the head's width each turns with t, h and w; what is left over does not turn. In
    float32 the arithmetic is transformers' own, step by step, so that features agree bit for bit.
    Other precisions are rounded at the end only: in half precision the angles themselves would be
    off, by more the further away a token is.
    """
    cosines, sines = [], []
    for axis, width in enumerate((attention.d_dim, attention.h_dim, attention.w_dim)):
        omega = torch.arange(width // 2, dtype=torch.float32, device=positions.device)
        omega /= width / 2.0
        omega = 1.0 / 10000**omega
        angle = positions[..., axis, None] * omega
        cosines.append(torch.cat([angle.cos()] * 2, -1))
        sines.append(torch.cat([angle.sin()] * 2, -1))
    rest = attention.attention_head_size - sum(c.shape[-1] for c in cosines)
    fill = torch.zeros((*positions.shape[:-1], rest), device=positions.device)
    return torch.cat([*cosines, fill + 1], -1).to(dtype), torch.cat([*sines, fill], -1).to(dtype)
