"""From a composed config to a pretraining run of a backbone."""

from __future__ import annotations

from typing import Any

import torch
from omegaconf import DictConfig

from tracker.datasets.clips import ClipSource
from tracker.devices import check_rendering
from tracker.errors import UserError
from tracker.extras import needs
from tracker.pretraining.architecture import open_model
from tracker.pretraining.jepa.batches import JepaBatches
from tracker.pretraining.jepa.model import JepaModel
from tracker.pretraining.jepa.task import JepaTask
from tracker.settings import instantiate, plain
from tracker.training.loop import TrainingLoop
from tracker.training.run_folder import RunFolder
from tracker.video.pixels import image_size

with needs("train"):
    from accelerate import Accelerator

SAVED = ("float16", "float32")
"""What `save_dtype` may be."""


def build_pretraining(
    config: DictConfig, run: RunFolder
) -> tuple[TrainingLoop[JepaTask], ClipSource]:
    """Return the loop that `configs/pretrain_backbone.yaml` describes, and its source of clips.

    Raises:
        UserError: settings do not fit each other, or data or checkpoint cannot be read.
    """
    if config.save_dtype not in SAVED:
        raise UserError(f"save_dtype={config.save_dtype} must be {' or '.join(SAVED)}")
    training = instantiate(config.training)
    check_rendering(plain(config.data), training.workers)
    torch.manual_seed(training.seed)
    accelerator = Accelerator(mixed_precision=training.precision)
    size, frames = image_size("data.size", config.data.size), config.data.frames
    # Settings of a transformers model have no types.
    online: Any = open_model(plain(config.architecture), config.init_from, size, frames)
    clips = instantiate(config.data)
    kinds = list(instantiate(config.masks).values())
    source = JepaBatches(clips, kinds, online.config.patch_size, online.config.tubelet_size)
    depth: int = online.config.num_hidden_layers
    layers = sorted({max(1, depth * quarter // 4) for quarter in (1, 2, 3, 4)})
    model = JepaModel(online, instantiate(config.jepa)).to(accelerator.device)
    task = JepaTask(
        model, instantiate(config.validation), (frames, size), layers, config.save_dtype
    )
    return TrainingLoop(task, source, training, run, accelerator), clips
