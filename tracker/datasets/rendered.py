"""Rendered scenes as a benchmark: exact truth, no download, the same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from einops import rearrange

from tracker.datasets.benchmark import Sample
from tracker.scenes.renderer import SceneConfig, render_scenes
from tracker.scenes.textures import TextureBank, open_textures
from tracker.video.video import Video

HELD_OUT_SEED = 1_000_000_007
"""Scenes for measuring count their seeds from here, far from any that training reaches."""


class ProceduralBenchmark:
    """A fixed set of scenes made from built-in textures.

    Args:
        name: what to call the benchmark in tables.
        scenes: how many.
        config: what they are like.
        first_seed: seed of the first; the others follow.
        textures: a folder of photographs, or None for the built-in ones.
    """

    def __init__(
        self,
        name: str = "procedural",
        scenes: int = 16,
        config: SceneConfig | None = None,
        first_seed: int = HELD_OUT_SEED,
        textures: str | None = None,
    ) -> None:
        self.name = name
        self._seeds = range(first_seed, first_seed + scenes)
        self._config = config or SceneConfig()
        # What results depend on, for an interrupted evaluation to know its own.
        self.path = f"{self._seeds}, textures {textures}, {self._config}"
        self._textures = open_textures(textures)

    def __iter__(self) -> Iterator[tuple[str, Callable[[], Sample]]]:
        for index, seed in enumerate(self._seeds):
            name = f"scene-{index:03d}"
            yield name, partial(render_sample, seed, self._config, self._textures, name)


def render_sample(seed: int, config: SceneConfig, textures: TextureBank, name: str) -> Sample:
    """Render one scene as an evaluation sample."""
    scenes = render_scenes([seed], config, textures)
    frames = rearrange(scenes.video[0], "t c h w -> t h w c").numpy()
    video = Video.from_array(np.round(frames * 255).astype(np.uint8), name=name)
    points = scenes.xy[0].double().numpy() / (config.width, config.height)
    return Sample(video, points, ~scenes.visible[0].numpy())
