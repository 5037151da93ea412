"""Random outlines that cut sprites out of pictures, as signed distances."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor


def draw_outline(generator: Generator, texels: int) -> Tensor:
    """Draw a random shape: blob, ellipse, bar, shape with a hole, or union of two blobs.

    The shape stays inside the square, two texels or more away from its sides.

    Args:
        generator: CPU generator.
        texels: side of the square.

    Returns:
        `(texels, texels) float32`, the signed distance to the outline in half sides of the square
        (first-order: exact near the outline), positive inside.
    """
    axis = (torch.arange(texels) + 0.5) * (2 / texels) - 1
    fit = 1 / (1 - 5 / texels)
    angle = float(torch.rand(1, generator=generator)) * 2 * math.pi
    cos, sin = math.cos(angle) * fit, math.sin(angle) * fit
    x = cos * axis[None, :] + sin * axis[:, None]
    y = cos * axis[:, None] - sin * axis[None, :]
    kind, a, b, c = torch.rand(4, generator=generator).tolist()
    if kind < 0.3:
        level = blob(generator, x, y)
    elif kind < 0.45:
        level = ellipse(x, y, 1, 0.4 + 0.6 * a)
    elif kind < 0.65:
        level = bar(x, y, max(0.05 + 0.2 * a, 4 / texels))
    elif kind < 0.8:
        hole = ellipse(x - 0.3 * (b - 0.5), y - 0.3 * (c - 0.5), 0.3 + 0.2 * a, 0.3 + 0.2 * b)
        level = torch.minimum(blob(generator, x, y), -hole)
    else:
        big, small = 0.55 + 0.15 * a, 0.35 + 0.2 * b
        first = blob(generator, (x + 1 - big) / big, y / big)
        second = blob(generator, (x - 1 + small) / small, y / small)
        bridge = bar(x, y, 0.12) - 0.02
        level = torch.maximum(torch.maximum(first, second), bridge)
    # Dividing by the slope turns a level set into a distance near its zero.
    slope_y, slope_x = torch.gradient(level, spacing=2 / texels)
    return (level / torch.hypot(slope_x, slope_y).clamp(min=0.2)).clamp(-1, 1)


def blob(generator: Generator, x: Tensor, y: Tensor) -> Tensor:
    """Return the level of a star-convex outline: a radius of four random harmonics, at most 1."""
    order = torch.arange(2, 6)
    weight = (torch.rand(4, generator=generator) - 0.5) * 1.1 / order
    phase = torch.rand(4, generator=generator) * 2 * math.pi
    theta = torch.atan2(y, x)
    waves = torch.zeros_like(theta)
    for k, w, p in zip(order, weight, phase, strict=True):
        waves = waves + w * torch.cos(k * theta + p)
    return (1 + waves) / (1 + weight.abs().sum()) - torch.hypot(x, y)


def ellipse(x: Tensor, y: Tensor, a: float, b: float) -> Tensor:
    """Return the level of an ellipse of half axes `a` and `b`."""
    return (1 - torch.hypot(x / a, y / b)) * min(a, b)


def bar(x: Tensor, y: Tensor, thickness: float) -> Tensor:
    """Return the signed distance of a capsule of half length 1 along x and half `thickness`."""
    return thickness - torch.hypot((x.abs() - (1 - thickness)).clamp(min=0), y)
