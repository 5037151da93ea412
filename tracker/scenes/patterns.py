"""Procedural textures. Each pattern is `(3, size, size)` float, about in 0..1."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn.functional import interpolate


def noise_field(generator: Generator, size: int, channels: int, cells_across: int) -> Tensor:
    """Return smooth noise `(channels, size, size)`, features of `size / cells_across` texels."""
    coarse = torch.rand(1, channels, cells_across, cells_across, generator=generator)
    return interpolate(coarse, (size, size), mode="bicubic", align_corners=True)[0]


def fractal_noise(generator: Generator, size: int) -> Tensor:
    """Return noise of many scales, the finer the fainter."""
    octaves = [2**k for k in range(2, int(math.log2(size)))]
    field = torch.zeros(3, size, size)
    for cells_across in octaves:
        field = field + noise_field(generator, size, 3, cells_across) * cells_across**-0.6
    low, high = field.amin((1, 2), keepdim=True), field.amax((1, 2), keepdim=True)
    return (field - low) / (high - low)


def warped_raster(generator: Generator, size: int) -> tuple[Tensor, Tensor]:
    """Return x and y of a bent and rotated grid, two `(size, size)` tensors over about 0..1."""
    axis = torch.arange(size) / size
    bend = noise_field(generator, size, 2, 5) * 0.3
    y, x = axis[:, None] + bend[0], axis[None, :] + bend[1]
    angle = float(torch.rand(1, generator=generator)) * math.pi
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def two_colours(generator: Generator, mask: Tensor) -> Tensor:
    """Paint a mask `(size, size)` in 0..1 with two random colours and a little noise."""
    first, second = torch.rand(2, 3, 1, 1, generator=generator)
    shade = noise_field(generator, mask.shape[-1], 3, 12) * 0.4 - 0.2
    return first + (second - first) * mask + shade


def stripes(generator: Generator, size: int) -> Tensor:
    """Return bent stripes of two colours."""
    x, y = warped_raster(generator, size)
    wave = torch.sin(x * 60) * 2 + torch.sin(y * 17)
    return two_colours(generator, wave.sigmoid())


def checker(generator: Generator, size: int) -> Tensor:
    """Return a bent chequerboard of two colours."""
    x, y = warped_raster(generator, size)
    return two_colours(generator, (6 * torch.sin(x * 40) * torch.sin(y * 40)).sigmoid())


def cells(generator: Generator, size: int) -> Tensor:
    """Return Voronoi cells, each with its own colour, dark along their edges."""
    sites = torch.rand(90, 2, generator=generator) * size
    colours = torch.rand(90, 3, generator=generator)
    axis = torch.arange(size) + 0.5
    pixels = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    near, owner = torch.cdist(pixels, sites).topk(2, largest=False)
    edge = ((near[:, 1] - near[:, 0]) / 3).clamp(0.2, 1)
    return (colours[owner[:, 0]] * edge[:, None]).T.reshape(3, size, size)


def plain(generator: Generator, size: int) -> Tensor:
    """Return one colour with a shade of it over the whole, as of a wall or a table."""
    colour = torch.rand(3, 1, 1, generator=generator)
    strength = 0.08 * float(torch.rand(1, generator=generator))
    return (colour + strength * (noise_field(generator, size, 1, 2) - 0.5)).clamp(0, 1)
