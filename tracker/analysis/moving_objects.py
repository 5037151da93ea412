"""Rendered clips in which one object moves and nothing else does, with its mask.

The renderer's own backgrounds always drift, so its sprites are laid over a still picture here:
what changes over time is then the object alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from tracker.scenes.motion import MotionConfig
from tracker.scenes.photometric import PhotometricConfig
from tracker.scenes.renderer import SceneConfig, render_scenes
from tracker.scenes.textures import TextureBank

MOTION = MotionConfig(
    min_speed=0.02, max_speed=0.06, static=0, nonrigid=0, camera_static=1, shake=0
)
SMALLEST, LARGEST = 0.02, 0.6
"""Share of a clip's pixels that the object may cover; other scenes are passed over."""


def moving_objects(
    count: int, frames: int, size: tuple[int, int], seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield `count` clips `(T, 3, H, W)` in 0..1, each with its object's mask `(T, H, W)` bool.

    Args:
        count: how many.
        frames: length of a clip.
        size: `(height, width)` of a clip in pixels.
        seed: of all choices.
    """
    config = SceneConfig(
        frames=frames,
        height=size[0],
        width=size[1],
        points=1,
        min_sprites=1,
        max_sprites=1,
        min_size=0.5,
        max_size=0.8,
        motion=MOTION,
        photometric=PhotometricConfig.off(),
    )
    bank = TextureBank.builtin()
    while count:
        scene = render_scenes([seed], config, bank)
        mask = scene.layer_map[0] > 0
        if SMALLEST <= float(mask.float().mean()) <= LARGEST:
            generator = Generator().manual_seed(seed)
            backdrop = bank.sample(generator, max(size))[:, : size[0], : size[1]]
            yield torch.where(mask[:, None], scene.video[0], backdrop), mask
            count -= 1
        seed += 1
