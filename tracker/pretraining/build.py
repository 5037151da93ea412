"""From a composed config to a pretraining run of a backbone."""

from __future__ import annotations

from typing import Any

import torch
from omegaconf import DictConfig

from tracker.devices import check_rendering
from tracker.errors import UserError
from tracker.extras import needs
from tracker.pretraining.architecture import open_model, start_local
from tracker.pretraining.distill.batches import DistillBatches
from tracker.pretraining.distill.crops import CropDrawer
from tracker.pretraining.distill.fresh import FreshBatches
from tracker.pretraining.distill.model import DistillModel
from tracker.pretraining.distill.sources import find_sources
from tracker.pretraining.distill.task import DistillTask
from tracker.pretraining.distill.teacher_maps import prepare_maps
from tracker.pretraining.distill.teachers import open_teacher
from tracker.pretraining.jepa.batches import JepaBatches
from tracker.pretraining.jepa.model import JepaModel
from tracker.pretraining.jepa.task import JepaTask
from tracker.settings import instantiate, plain
from tracker.training.loop import NumberedBatches, TrainingLoop
from tracker.training.run_folder import RunFolder
from tracker.video.pixels import image_size

with needs("train"):
    from accelerate import Accelerator

SAVED = ("float16", "float32")
"""What `save_dtype` may be."""

OBJECTIVES = ("jepa", "distill", "both")

Parts = tuple[JepaTask | DistillTask, NumberedBatches, dict[str, str]]
"""Task, batches, and why files were skipped, by path."""


def build_pretraining(
    config: DictConfig, run: RunFolder
) -> tuple[TrainingLoop[Any], dict[str, str]]:
    """Return the loop that `configs/pretrain_backbone.yaml` describes.

    Returns:
        The loop, and why files were skipped, by path.

    Raises:
        UserError: settings do not fit each other, or data, teacher or checkpoint cannot be read.
    """
    if config.save_dtype not in SAVED:
        raise UserError(f"save_dtype={config.save_dtype} must be {' or '.join(SAVED)}")
    if config.objective not in OBJECTIVES:
        raise UserError(f"objective={config.objective}: use {', '.join(OBJECTIVES)}")
    training = instantiate(config.training)
    check_rendering(plain(config.data), training.workers)
    torch.manual_seed(training.seed)
    accelerator = Accelerator(mixed_precision=training.mixed_precision())
    size, frames = image_size("data.size", config.data.size), config.data.frames
    # Settings of a transformers model have no types.
    online: Any = open_model(plain(config.architecture), config.init_from, size, frames)
    if config.local_start and config.init_from is None:
        start_local(online.encoder, config.local_start)
    depth: int = online.config.num_hidden_layers
    layers = sorted({max(1, depth * quarter // 4) for quarter in (1, 2, 3, 4)})
    measured = ((frames, size), layers, config.save_dtype)
    build = _jepa if config.objective == "jepa" else _distillation
    task, source, skipped = build(config, online, accelerator, measured)
    return TrainingLoop(task, source, training, run, accelerator), skipped


def _jepa(config: DictConfig, online: Any, accelerator: Accelerator, measured: tuple) -> Parts:
    """Build masked latent prediction."""
    clips = instantiate(config.data)
    kinds = list(instantiate(config.masks).values())
    source = JepaBatches(clips, kinds, online.config.patch_size, online.config.tubelet_size)
    model = JepaModel(online, instantiate(config.jepa)).to(accelerator.device)
    task = JepaTask(model, instantiate(config.validation), *measured)
    return task, source, getattr(clips, "skipped", {})


def _distillation(
    config: DictConfig, student: Any, accelerator: Accelerator, measured: tuple
) -> Parts:
    """Build distillation, with masks or without."""
    settings = config.teacher
    objective, crops, views = (instantiate(config[n]) for n in ("distill", "crops", "views"))
    masked = config.objective == "both"
    kinds = list(instantiate(config.masks).values()) if masked else []
    token = student.config.patch_size, student.config.tubelet_size
    sources, skipped = find_sources(config.photographs, config.videos)
    teacher = open_teacher(settings.name, settings.layer, accelerator.device)
    batches: NumberedBatches
    if settings.when == "each_crop":
        if config.training.workers and accelerator.device.type != "cpu":
            raise UserError(
                "teacher.when=each_crop runs the teacher on the GPU, which other processes cannot "
                "share: set training.workers=0"
            )
        fresh = FreshBatches(sources, teacher, crops, views, *token, kinds, settings.memory_gb)
        batches, (mean, std) = fresh, fresh.statistics()
    elif settings.when == "once":
        show = accelerator.is_main_process
        with accelerator.main_process_first():
            maps = prepare_maps(settings.cache, sources, teacher, views, settings.cache_gb, show)
        drawer = CropDrawer(maps.views, crops, *token, maps.lag)
        batches, mean, std = DistillBatches(drawer, crops, kinds, token[0]), maps.mean, maps.std
        skipped |= maps.skipped
    else:
        raise UserError(f"teacher.when={settings.when}: use once or each_crop")
    model = DistillModel(student, mean, std, objective, masked).to(accelerator.device)
    task = DistillTask(model, instantiate(config.validation), *measured)
    return task, batches, skipped
