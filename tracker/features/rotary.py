"""Running V-JEPA 2's layers with rotary positions of the real patch grid.

transformers derives positions from `config.crop_size` alone, a square: any other input gets wrong
positions without an error. Here they are told, as cosines and sines computed once for all layers.
V-JEPA 2.1 has the same layers and another table (`RotaryStyle`).
Shapes: B videos, N tokens, C channels, D the width of an attention head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers.models.vjepa2.modeling_vjepa2 import (
        VJEPA2Layer,
        VJEPA2RopeAttention,
    )

Rotary = tuple[Tensor, Tensor]
"""Cosines and sines of tokens' positions: `(N, D)` for all clips, or `(B, 1, N, D)`."""


class Stack(Protocol):
    """An encoder or predictor, of V-JEPA 2.0 or 2.1.

    Attributes:
        layer: transformers' layers of V-JEPA 2.
    """

    layer: nn.ModuleList

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """As every module of torch's has them."""
        ...


@dataclass(frozen=True)
class RotaryStyle:
    """How a family of encoders turns positions into angles.

    Attributes:
        interleaved: the two channels of a pair turn by one frequency, as in V-JEPA 2.1; V-JEPA 2.0
            tiles the frequencies instead, so that the two channels have different ones.
        span: positions along height and width run from 0 to `span - 1` whatever the number of
            patches; None counts the patches.
    """

    interleaved: bool = False
    span: int | None = None


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
    """V-JEPA 2's rotary embedding: it turns pairs of neighbouring channels."""
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    return x * cos + torch.stack((-second, first), -1).flatten(-2) * sin


def grid_positions(grid: tuple[int, int, int], device: torch.device) -> Tensor:
    """Return `(t*h*w, 3)` the (t, h, w) of every token, in the encoder's order."""
    axes = [torch.arange(n, device=device) for n in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def spanned_positions(grid: tuple[int, int, int], span: int | None, device: torch.device) -> Tensor:
    """Return `(t*h*w, 3)` as `grid_positions`, with rows and columns spread over a span."""
    positions = grid_positions(grid, device)
    if span is None:
        return positions
    # One row or column alone lies at 0.
    steps = torch.tensor([max(1, n - 1) for n in grid[1:]], device=device)
    return torch.cat([positions[:, :1], positions[:, 1:] * float(span - 1) / steps], -1)


def layers_of(stack: Stack) -> Sequence[VJEPA2Layer]:
    """Return the layers of an encoder or predictor; torch's list does not say of what kind."""
    return cast("Sequence[VJEPA2Layer]", stack.layer)


def style_of(stack: Stack) -> RotaryStyle:
    """Return an encoder's rotary style; transformers' own stacks, of V-JEPA 2.0, name none."""
    return getattr(stack, "rotary_style", RotaryStyle())


def tables_of(stack: Stack, grid: tuple[int, int, int], ids: Tensor | None = None) -> Rotary:
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
    style = style_of(stack)
    positions = spanned_positions(grid, style.span, weight.device)
    attention = layers_of(stack)[0].attention
    cos, sin = rotary_tables(attention, positions, dtype, style.interleaved)
    return (cos, sin) if ids is None else (cos[ids][:, None], sin[ids][:, None])


def rotary_tables(
    attention: VJEPA2RopeAttention,
    positions: Tensor,
    dtype: torch.dtype,
    interleaved: bool = False,
) -> Rotary:
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
        cosines.append(_for_both_channels(angle.cos(), interleaved))
        sines.append(_for_both_channels(angle.sin(), interleaved))
    rest = attention.attention_head_size - sum(c.shape[-1] for c in cosines)
    fill = torch.zeros((*positions.shape[:-1], rest), device=positions.device)
    return torch.cat([*cosines, fill + 1], -1).to(dtype), torch.cat([*sines, fill], -1).to(dtype)


def _for_both_channels(values: Tensor, interleaved: bool) -> Tensor:
    return values.repeat_interleave(2, -1) if interleaved else torch.cat([values] * 2, -1)
