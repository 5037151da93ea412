"""From frozen features of several layers to one map of content, with a look along time.

After Kim et al., "Exploring Temporally-Aware Features for Point Tracking" (arXiv 2501.12218): a
frozen image or video backbone becomes good at matching with a light adapter whose attention runs
over time at each place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class ContentProjection(nn.Module):
    """`(B, L, S, C, h, w)` content residuals to `(B, S, D, h, w)`.

    Args:
        layers: L.
        channels: C.
        width: D.
        adapter_window: slots that the temporal attention reaches over; 0 for none.
    """

    def __init__(self, layers: int, channels: int, width: int, adapter_window: int) -> None:
        super().__init__()
        self.per_layer = nn.ModuleList(nn.Conv2d(channels, width, 1) for _ in range(layers))
        self.norm = nn.GroupNorm(layers, layers * width)
        self.fuse = nn.Conv2d(layers * width, width, 3, padding=1)
        self.adapter = TemporalAdapter(width, adapter_window) if adapter_window else nn.Identity()

    def forward(self, residuals: Tensor) -> Tensor:
        """Mix the layers at each place, then look along time."""
        batch = residuals.shape[0]
        flat = rearrange(residuals, "b l s c h w -> l (b s) c h w")
        mapped = torch.cat([conv(x) for conv, x in zip(self.per_layer, flat, strict=True)], dim=1)
        fused = self.fuse(F.gelu(self.norm(mapped)))
        return self.adapter(rearrange(fused, "(b s) d h w -> b s d h w", b=batch))


class TemporalAdapter(nn.Module):
    """Local self-attention over time at each place; the identity before training.

    Args:
        width: channels of the map.
        window: slots within reach, centred on each; odd.
    """

    def __init__(self, width: int, window: int, heads: int = 4) -> None:
        super().__init__()
        inner = width // 2
        self.heads, self.radius = heads, window // 2
        self.down = nn.Conv2d(width, inner, 1)
        self.norm = nn.LayerNorm(inner)
        self.qkv = nn.Linear(inner, 3 * inner)
        self.bias = nn.Parameter(torch.zeros(heads, 2 * self.radius + 1))
        self.up = nn.Conv2d(inner, width, 3, padding=1)
        for parameter in self.up.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, S, C, h, w)` to the same shape."""
        batch, slots, _, height, _ = x.shape
        inner = self.down(x.flatten(0, 1))
        tokens = rearrange(inner, "(b s) c h w -> (b h w) s c", b=batch)
        query, key, value = rearrange(
            self.qkv(self.norm(tokens)), "n s (three a d) -> three n a s d", three=3, a=self.heads
        )
        mask = relative_bias(self.bias, slots, beyond=float("-inf"))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        tokens = tokens + rearrange(mixed, "n a s d -> n s (a d)")
        inner = rearrange(tokens, "(b h w) s c -> (b s) c h w", b=batch, h=height)
        return x + self.up(inner).unflatten(0, (batch, slots))


def relative_bias(table: Tensor, length: int, beyond: float | None = None) -> Tensor:
    """Spread a table over time differences into an attention bias.

    Args:
        table: `(heads, 2R + 1)`, for differences -R..R.
        length: T.
        beyond: bias of larger differences; None gives them that of the largest in the table.

    Returns:
        `(heads, T, T)`.
    """
    radius = table.shape[1] // 2
    steps = torch.arange(length, device=table.device)
    difference = steps[None] - steps[:, None]
    bias = table[:, difference.clamp(-radius, radius) + radius]
    return bias if beyond is None else bias.masked_fill(difference.abs() > radius, beyond)
