"""Clips per second of the procedural renderer on one CPU thread.

python benchmarks/procedural_speed.py
"""

from __future__ import annotations

import time

import torch

from tracker.scenes.renderer import SceneConfig, render_scenes
from tracker.scenes.textures import TextureBank


def clips_per_second(config: SceneConfig, batch_size: int, batches: int) -> float:
    """Return the speed over different scenes, since scenes differ in cost."""
    textures = TextureBank.builtin()
    render_scenes([0], config, textures)
    start = time.perf_counter()
    for k in range(batches):
        render_scenes(range(k * batch_size, (k + 1) * batch_size), config, textures)
    return batches * batch_size / (time.perf_counter() - start)


def main() -> None:
    """Print the speed of small and of large clips."""
    torch.set_num_threads(1)
    small = SceneConfig(frames=8, height=128, width=128)
    large = SceneConfig(frames=24, height=256, width=256)
    print(f" 8 frames of 128 px, batches of 4: {clips_per_second(small, 4, 12):6.2f} clips/s")
    print(f"24 frames of 256 px, batches of 1: {clips_per_second(large, 1, 16):6.2f} clips/s")


if __name__ == "__main__":
    main()
