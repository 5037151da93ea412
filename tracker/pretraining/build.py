"""From a composed config to a pretraining run of a backbone."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from omegaconf import DictConfig, OmegaConf

from tracker.devices import bf16_pays, check_rendering
from tracker.errors import UserError
from tracker.pretraining.architecture import open_model
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
from tracker.settings import instantiate
from tracker.training.loop import NumberedBatches, Task, TrainingLoop
from tracker.training.run_folder import RunFolder
from tracker.video.pixels import image_size

OBJECTIVES = ("jepa", "distill", "both")


def build_pretraining(config: DictConfig, run: RunFolder) -> tuple[TrainingLoop, dict[str, str]]:
    """Return the loop that `configs/pretrain_backbone.yaml` describes.

    Returns:
        The loop, and why files were skipped, by path.

    Raises:
        UserError: settings do not fit each other, or data, teacher or checkpoint cannot be read.
    """
    if config.objective not in OBJECTIVES:
        raise UserError(f"objective={config.objective}: use {', '.join(OBJECTIVES)}")
    if config.training.precision == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        config.training.precision = "bf16" if bf16_pays(device) else "no"
    training = instantiate(config.training)
    check_rendering(OmegaConf.to_container(config.data), training.workers)
    torch.manual_seed(training.seed)
    accelerator = Accelerator(mixed_precision=training.precision)
    size, frames = image_size("data.size", config.data.size), config.data.frames
    architecture = OmegaConf.to_container(config.architecture)
    online = open_model(architecture, config.init_from, size, frames)
    depth = online.config.num_hidden_layers
    layers = sorted({max(1, depth * quarter // 4) for quarter in (1, 2, 3, 4)})
    measured = ((frames, size), layers, config.save_dtype)
    build = _jepa if config.objective == "jepa" else _distillation
    task, source, skipped = build(config, online, accelerator, measured)
    return TrainingLoop(task, source, training, run, accelerator), skipped


Parts = tuple[Task, NumberedBatches, dict[str, str]]


def _jepa(config: DictConfig, online: Any, accelerator: Accelerator, measured: tuple) -> Parts:
    """Return task, batches, and skipped files of masked latent prediction."""
    clips = instantiate(config.data)
    kinds = list(instantiate(config.masks).values())
    source = JepaBatches(clips, kinds, online.config.patch_size, online.config.tubelet_size)
    model = JepaModel(online, instantiate(config.jepa)).to(accelerator.device)
    task = JepaTask(model, instantiate(config.validation), *measured)
    return task, source, getattr(clips, "skipped", {})


def _distillation(
    config: DictConfig, student: Any, accelerator: Accelerator, measured: tuple
) -> Parts:
    """Return task, batches, and skipped files of distillation, with masks or without."""
    settings = config.teacher
    objective, crops, views = (instantiate(config[n]) for n in ("distill", "crops", "views"))
    masked = config.objective == "both"
    sources, skipped = find_sources(config.photographs, config.videos)
    patch, tubelet = student.config.patch_size, student.config.tubelet_size
    kinds = list(instantiate(config.masks).values()) if masked else []
    teacher = open_teacher(settings.name, settings.layer, accelerator.device)
    batches: NumberedBatches
    if settings.when == "each_crop":
        if config.training.workers:
            raise UserError("teacher.when=each_crop runs the teacher here: set training.workers=0")
        batches = FreshBatches(
            sources, teacher, crops, views, patch, tubelet, settings.memory_gb, settings.correct_lag
        )
        mean, std = batches.statistics()
    elif settings.when == "once":
        with accelerator.main_process_first():
            show = accelerator.is_main_process
            maps = prepare_maps(settings.cache, sources, teacher, views, settings.cache_gb, show)
        lag = maps.lag if settings.correct_lag else 0.0
        drawer = CropDrawer(maps.views, crops, patch, tubelet, lag)
        batches = DistillBatches(drawer, crops, kinds, patch)
        mean, std, skipped = maps.mean, maps.std, skipped | maps.skipped
    else:
        raise UserError(f"teacher.when={settings.when}: use once or each_crop")
    model = DistillModel(student, mean, std, objective, masked).to(accelerator.device)
    task = DistillTask(model, instantiate(config.validation), *measured)
    return task, batches, skipped
