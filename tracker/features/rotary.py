"""Running V-JEPA 2's layers with rotary positions of the real patch grid.

transformers derives positions from `config.crop_size` alone, a square: any other input gets wrong
positions without an error. Here they are told, as cosines and sines computed once for all layers.
Shapes: B videos, N tokens, C channels, D the width of an attention head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

if TYPE_CHECKING:
    from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2Layer


def run_layer(layer: VJEPA2Layer, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Run one of transformers' layers with rotary tables computed by `rotary_tables`.

    Args:
        hidden: `(B, N, C)` tokens.
        cos, sin: `(N, D)` or `(B, 1, N, D)`, D the width of an attention head.
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
    mixed = F.scaled_dot_product_attention(query, key, value, scale=attention.scaling)
    hidden = attention.proj(rearrange(mixed, "b heads n d -> b n (heads d)")) + hidden
    return layer.mlp(layer.norm2(hidden)) + hidden


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """V-JEPA 2's rotary embedding: pairs of neighbouring channels, frequencies tiled."""
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    return x * cos + torch.stack((-second, first), -1).flatten(-2) * sin


def grid_positions(grid: tuple[int, int, int], device: torch.device) -> Tensor:
    """Return `(t*h*w, 3)` the (t, h, w) of every token, in the encoder's order."""
    axes = [torch.arange(n, device=device) for n in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def rotary_tables(
    attention: torch.nn.Module, positions: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return cosines and sines `(..., N, D)` for tokens at positions `(..., N, 3)`.

    A third of the head's width each turns with t, h and w; what is left over does not turn. The
    arithmetic is transformers' own, step by step, so that features agree bit for bit.
    """
    cosines, sines = [], []
    for axis, width in enumerate((attention.d_dim, attention.h_dim, attention.w_dim)):
        omega = torch.arange(width // 2, dtype=dtype, device=positions.device)
        omega /= width / 2.0
        omega = 1.0 / 10000**omega
        angle = positions[..., axis, None] * omega
        cosines.append(torch.cat([angle.cos()] * 2, -1))
        sines.append(torch.cat([angle.sin()] * 2, -1))
    rest = attention.attention_head_size - sum(c.shape[-1] for c in cosines)
    fill = positions.new_zeros((*positions.shape[:-1], rest), dtype=dtype)
    return torch.cat([*cosines, fill + 1], -1), torch.cat([*sines, fill], -1)
