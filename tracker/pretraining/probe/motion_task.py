"""A motion-classification task made by the renderer: four questions about one clip.

Textured shapes move over a still picture, all in the same way. Direction, rotation, change of scale
and number are drawn independently, and each shape is at a random place in the middle of the clip,
so that no single frame tells how things move.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from tracker.scenes.layer_motion import LayerMotion
from tracker.scenes.layers import Layer
from tracker.scenes.outlines import draw_outline
from tracker.scenes.photometric import PhotometricConfig, develop, draw_photometry
from tracker.scenes.renderer import BACKGROUND_REACH, SceneConfig, draw_clip
from tracker.scenes.smooth_paths import uniform
from tracker.scenes.textures import open_textures

CLASSES: dict[str, tuple[str, ...]] = {
    "direction": ("E", "SE", "S", "SW", "W", "NW", "N", "NE"),
    "rotation": ("counter-clockwise", "none", "clockwise"),
    "scale": ("shrinks", "none", "grows"),
    "objects": ("1", "2", "3", "4"),
}
TRAVEL = 0.25
"""Distance moved through the clip, in shorter frame sides."""
TURN = math.pi / 2
"""Rotation through the clip, radians."""
GROWTH = math.log(1.8)
"""Change of log scale through the clip."""


@dataclass(frozen=True)
class SteadyMotion:
    """Layers that move at a constant rate; gives what `SceneMotion` gives.

    Attributes:
        middle: `(L, 2)` raster pixels where each layer is in the middle of the clip.
        velocity: `(L, 2)` pixels per frame.
        angle: `(L,)` radians in the middle.
        spin: `(L,)` radians per frame.
        growth: `(L,)` log scale per frame.
        frames: length of the clip.
    """

    middle: Tensor
    velocity: Tensor
    angle: Tensor
    spin: Tensor
    growth: Tensor
    frames: int

    def at(self, times: Tensor) -> list[LayerMotion]:
        """Return the maps of all layers at `(T,)` frames in float64."""
        since = times - (self.frames - 1) / 2
        motions = []
        for layer in range(len(self.middle)):
            angle = self.angle[layer] + self.spin[layer] * since
            scale = (self.growth[layer] * since).exp()
            x, y = (self.middle[layer] + self.velocity[layer] * since[:, None]).unbind(-1)
            cos, sin = scale * angle.cos(), scale * angle.sin()
            zero, one = torch.zeros_like(cos), torch.ones_like(cos)
            rows = torch.stack([cos, -sin, x, sin, cos, y, zero, zero, one], -1)
            forward = rows.unflatten(-1, (3, 3))
            still = forward.new_zeros(len(times), 0)
            motions.append(
                LayerMotion(
                    forward,
                    torch.linalg.inv(forward),
                    wave_vector=forward.new_zeros(0, 2),
                    wave_amplitude=forward.new_zeros(len(times), 0, 2),
                    wave_phase=still,
                )
            )
        return motions


class MotionTask:
    """Numbered clips with the answers to every question of `CLASSES`.

    Args:
        frames: of a clip.
        size: of a clip, `(height, width)` in pixels.
        textures: a folder of photographs, or None for the built-in ones.
    """

    def __init__(self, frames: int, size: tuple[int, int], textures: str | None = None) -> None:
        self._bank = open_textures(textures)
        self._config = SceneConfig(
            frames=frames,
            height=size[0],
            width=size[1],
            points=1,
            photometric=PhotometricConfig.off(),
        )

    def clip(self, index: int) -> tuple[Tensor, dict[str, int]]:
        """Return clip `index`, `(T, 3, H, W) float32` in 0..1, and its class for each question."""
        random = Generator().manual_seed(index)
        answers = {
            name: int(torch.randint(len(classes), (), generator=random))
            for name, classes in CLASSES.items()
        }
        config = self._config
        motion, radius = draw_steady_motion(random, config, answers)
        layers = self._draw_layers(random, radius)
        size = (config.height, config.width)
        photometry = draw_photometry(random, config.photometric, config.frames, size, len(layers))
        video, _ = draw_clip(config, layers, motion, photometry, "cpu")
        return develop(video, photometry).transpose(0, 1), answers

    def _draw_layers(self, random: Generator, radius: list[float]) -> list[Layer]:
        layers = []
        for number, half in enumerate(radius):
            texels = max(12, round(2 * half))
            colours = self._bank.sample(random, texels)
            outline = draw_outline(random, texels) if number else torch.ones(texels, texels)
            layers.append(Layer(torch.cat([colours, outline[None] * half]), half, number == 0))
        return layers


def draw_steady_motion(
    random: Generator, config: SceneConfig, answers: dict[str, int]
) -> tuple[SteadyMotion, list[float]]:
    """Draw a motion that fits the answers, and half the size of each layer in pixels."""
    side, objects = min(config.height, config.width), 1 + answers["objects"]
    # One object in each quarter of the frame: they are not hidden behind each other for long.
    quarter = torch.randperm(4, generator=random)[:objects]
    corner = torch.stack([quarter % 2, quarter // 2], -1).double()
    inside = uniform(random, 0.35, 0.65, objects, 2)
    middle = (corner + inside) / 2 * torch.tensor([config.width, config.height])
    heading = (answers["direction"] + uniform(random, -0.25, 0.25, 1)) * (math.pi / 4)
    steps = max(1, config.frames - 1)
    travel = TRAVEL * side / steps * torch.stack([heading.cos(), heading.sin()], -1)
    rate = uniform(random, 0.8, 1.2, 3)
    spin = (answers["rotation"] - 1) * TURN / steps * rate[1]
    growth = (answers["scale"] - 1) * GROWTH / steps * rate[2]
    radius = uniform(random, 0.13, 0.2, objects) * side
    angle = uniform(random, 0, 2 * math.pi, objects)
    still = torch.zeros(1, dtype=torch.float64)
    centre = torch.tensor([[config.width / 2, config.height / 2]], dtype=torch.float64)
    motion = SteadyMotion(
        torch.cat([centre, middle]),
        torch.cat([still[:, None].expand(1, 2), (travel * rate[0]).expand(objects, 2)]),
        torch.cat([still, angle]),
        torch.cat([still, spin.expand(objects)]),
        torch.cat([still, growth.expand(objects)]),
        config.frames,
    )
    background = BACKGROUND_REACH * max(config.height, config.width)
    return motion, [background, *radius.tolist()]
