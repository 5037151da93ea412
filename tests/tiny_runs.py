"""Training runs of a few steps."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from tiny_models import tiny_tracker

from tracker.datasets.rendered import ProceduralBenchmark
from tracker.scenes.renderer import SceneConfig
from tracker.training.batches import FlowConfig, ProceduralTracks, TrackedBatches
from tracker.training.config import TrainingConfig
from tracker.training.loop import TrainingLoop
from tracker.training.losses import LossConfig
from tracker.training.run_folder import RunFolder
from tracker.training.task import TrackingTask
from tracker.training.warm_start import train_only


def make_loop(
    folder: Path, source: object = None, part: str | None = None, **changes: object
) -> TrainingLoop:
    torch.manual_seed(0)
    scene = SceneConfig(frames=6, height=64, width=64, points=8)
    tracker = tiny_tracker()
    if part:
        train_only(tracker.head, part)
    held_out = ProceduralBenchmark("held-out", scenes=1, config=scene)
    task = TrackingTask(tracker, LossConfig(), held_out)
    settings = {"max_steps": 3, "workers": 0, "validate_every": 100, "learning_rate": 1e-3}
    config = TrainingConfig(**(settings | changes))
    source = source or TrackedBatches(ProceduralTracks(6, (64, 64), 8), FlowConfig())
    return TrainingLoop(task, source, config, RunFolder(folder, {}), Accelerator(cpu=True))


def history(folder: Path) -> np.ndarray:
    with (folder / "history.csv").open() as file:
        return np.array([[float(x) for x in row] for row in list(csv.reader(file))[1:]])
