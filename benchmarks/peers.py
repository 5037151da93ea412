"""Other trackers as people publish them, made from a folder with their code and random weights.

Speed does not depend on what the weights are. Nothing of these trackers is part of this project.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

Peer = Callable[[np.ndarray, np.ndarray], object]
"""Tracks `(N, 3)` queries `t, x, y` in pixels through `(T, H, W, 3) uint8` frames."""


def locotrack(folder: Path) -> Peer:
    """Return LocoTrack-S of a clone of github.com/cvlab-kaist/locotrack."""
    sys.path.insert(0, str(folder / "locotrack_pytorch"))
    from models.locotrack_model import LocoTrack

    model = LocoTrack(model_size="small").eval()

    def track(frames: np.ndarray, queries: np.ndarray) -> object:
        video = torch.from_numpy(frames)[None].float() / 255 * 2 - 1
        points = torch.from_numpy(queries[:, [0, 2, 1]])[None].float()
        return model(video, points)

    return track


def cotracker(folder: Path) -> Peer:
    """Return CoTracker3 offline of a clone of github.com/facebookresearch/co-tracker."""
    sys.path.insert(0, str(folder))
    from cotracker.models.build_cotracker import build_cotracker

    model = build_cotracker(window_len=60).eval()

    def track(frames: np.ndarray, queries: np.ndarray) -> object:
        video = torch.from_numpy(frames)[None].permute(0, 1, 4, 2, 3).float()
        return model(video, torch.from_numpy(queries)[None].float(), iters=4)

    return track


PEERS: dict[str, tuple[str, Callable[[Path], Peer]]] = {
    "locotrack": ("LocoTrack-S", locotrack),
    "cotracker": ("CoTracker3 offline", cotracker),
}
"""Names in tables, and how each is made, by the option that gives its folder."""
