"""From a composed config to a training run of the head."""

from __future__ import annotations

import torch
from omegaconf import DictConfig

from tracker.devices import check_rendering, set_threads
from tracker.extras import needs
from tracker.features.template import PositionalTemplate
from tracker.settings import instantiate, plain
from tracker.tracking.config import TrackerConfig
from tracker.tracking.tracker import PointTracker
from tracker.training.batches import TrackedBatches
from tracker.training.loop import TrainingLoop
from tracker.training.run_folder import RunFolder
from tracker.training.task import TrackingTask
from tracker.training.warm_start import start_from, train_only

with needs("train"):
    from accelerate import Accelerator

FREE = ("run_dir", "resume", "threads")
"""Settings that say where and how a run goes on, not what it is."""


def open_run(config: DictConfig) -> RunFolder:
    """Set the CPU threads and open the folder of a training run that `config` describes.

    Raises:
        UserError: the folder holds a run with other settings.
    """
    set_threads(config.threads)
    settings = {name: value for name, value in plain(config).items() if name not in FREE}
    return RunFolder(str(config.run_dir), settings, config.resume)


def build_training(config: DictConfig, run: RunFolder) -> TrainingLoop[TrackingTask]:
    """Return the training loop that `configs/train_tracker.yaml` describes.

    Raises:
        UserError: settings do not fit each other, or a template, tracker or data cannot be read.
    """
    training = instantiate(config.training)
    check_rendering(plain(config.data), training.workers)
    torch.manual_seed(training.seed)
    accelerator = Accelerator(mixed_precision=training.mixed_precision())
    raw = config.template in (None, "none")
    template = None if raw else PositionalTemplate.load(str(config.template))
    tracker = PointTracker(
        TrackerConfig(
            instantiate(config.backbone),
            instantiate(config.head),
            instantiate(config.inference),
            config.fine_size,
        ),
        template,
    ).to(accelerator.device)
    if config.warm_start:
        start_from(tracker, str(config.warm_start), config.warm_start_other_features)
    if config.train_only:
        train_only(tracker.head, str(config.train_only))
    task = TrackingTask(tracker, instantiate(config.loss), instantiate(config.validation))
    flow = instantiate(config.flow) if tracker.config.head.reads_flow else None
    source = TrackedBatches(instantiate(config.data), flow)
    return TrainingLoop(task, source, training, run, accelerator)
