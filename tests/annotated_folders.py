"""Tiny videos with tracks in the layouts that Kubric and PointOdyssey publish."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

FRAMES, HEIGHT, WIDTH, POINTS = 6, 40, 60, 5


def tracks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True positions `(N, T, 2)`, and visibility that is true in the first frame."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform([5, 5], [WIDTH - 5, HEIGHT - 5], (POINTS, FRAMES, 2)).astype(np.float32)
    visible = rng.random((POINTS, FRAMES)) > 0.3
    visible[:, 0] = True
    return xy, visible


def write_frames(folder: Path, xy: np.ndarray, pattern: str) -> None:
    """Draw each point as a bright pixel in its own shade."""
    folder.mkdir(parents=True)
    for t in range(FRAMES):
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for point, (x, y) in enumerate(xy[:, t]):
            picture[int(y), int(x)] = 255 - 20 * point
        Image.fromarray(picture).save(folder / pattern.format(t))


def write_kubric(folder: Path) -> Path:
    """Write two videos below a folder, and return it."""
    for number in range(2):
        name = f"{number:04d}"
        xy, visible = tracks(number)
        write_frames(folder / name / "frames", xy, "{:03d}.png")
        np.save(folder / name / f"{name}.npy", {"coords": xy, "visibility": ~visible})
    return folder


def write_point_odyssey(folder: Path) -> Path:
    """Write one scene below a folder, and return it."""
    xy, visible = tracks(0)
    write_frames(folder / "scene" / "rgbs", xy, "rgb_{:05d}.png")
    valid = np.ones_like(visible)
    valid[1, 2:] = False
    np.savez(
        folder / "scene" / "anno.npz",
        trajs_2d=xy.swapaxes(0, 1),
        visibs=visible.T,
        valids=valid.T,
    )
    return folder
