"""Smooth random functions of time, which poses and cameras follow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor


def uniform(generator: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Draw uniform `float64` numbers of a shape."""
    numbers = torch.rand(shape, generator=generator, dtype=torch.float64)
    return low + (high - low) * numbers


@dataclass(frozen=True)
class Paths:
    """Smooth random functions of time, C of them: a drift and two sinusoids, bounded by tanh.

    Attributes:
        start: `(C,)` value at the anchor.
        limit: `(C,)` largest distance from the start.
        anchor: `(C,)` frames.
        velocity: `(C,)` per frame.
        acceleration: `(C,)` per square frame.
        amplitude: `(C, 2)` of the sinusoids.
        rate: `(C, 2)` radians per frame.
        phase: `(C, 2)` radians.
    """

    start: Tensor
    limit: Tensor
    anchor: Tensor
    velocity: Tensor
    acceleration: Tensor
    amplitude: Tensor
    rate: Tensor
    phase: Tensor

    def at(self, times: Tensor) -> Tensor:
        """Return values `(C, T)` at the given instants, `(T,)` frames."""
        elapsed = times - self.anchor[:, None]
        swing = torch.sin(self.rate[..., None] * times + self.phase[..., None])
        swing = swing - torch.sin(self.rate * self.anchor[:, None] + self.phase)[..., None]
        moved = self.velocity[:, None] * elapsed + self.acceleration[:, None] * elapsed**2 / 2
        moved = moved + (self.amplitude[..., None] * swing).sum(1)
        limit = self.limit[:, None]
        return self.start[:, None] + limit * torch.tanh(moved / limit)


def draw_paths(
    generator: Generator,
    periods: tuple[float, float],
    frames: int,
    start: Tensor,
    speed: Tensor,
    limit: Tensor,
    drifting: Tensor,
    anchor: Tensor,
) -> Paths:
    """Draw paths with given largest speeds.

    Args:
        generator: CPU generator.
        periods: shortest and longest of the sinusoids, frames.
        frames: length of the clip.
        start: `(C,)` values at the anchors.
        speed: `(C,)` largest change per frame.
        limit: `(C,)` largest distance from the start.
        drifting: `(C,)` share of the speed that is steady.
        anchor: `(C,)` frames.
    """
    count = start.shape[0]
    sign = uniform(generator, -1, 1, count)
    share = uniform(generator, 0.3, 1.0, count, 2)
    span = math.log(periods[1] / periods[0])
    rate = 2 * math.pi / periods[0] * torch.exp(-span * uniform(generator, 0, 1, count, 2))
    turn = uniform(generator, -2, 2, count)
    steady = drifting * speed
    return Paths(
        start=start,
        limit=limit,
        anchor=anchor,
        velocity=steady * sign,
        acceleration=steady * turn / frames,
        amplitude=(speed - steady)[:, None] * share / rate,
        rate=rate,
        phase=uniform(generator, 0, 2 * math.pi, count, 2),
    )
