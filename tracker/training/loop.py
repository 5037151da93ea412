"""The training loop that the tracker's head and the backbone share.

A run lives in one folder: `checkpoint.pt` (everything needed to go on), `history.csv` (a row per
step), `validation.csv`, TensorBoard's event files, `best/`, the best weights so far, and `last/`,
those of the end. Batches depend on nothing but the seed and the step's number, so a run that was
killed goes on as if nothing had happened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from tracker.devices import bf16_pays, check_device
from tracker.errors import UserError, log
from tracker.extras import needs
from tracker.training.log import TrainingLog
from tracker.training.run_folder import RunFolder

with needs("train"):
    from accelerate import Accelerator


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes:
        max_steps: optimiser steps in all.
        max_minutes: wall-clock limit over all starts of the run; None for none. The learning
            rate follows whichever of the two limits is nearer.
        batch_size: clips a step and process.
        learning_rate: at its peak.
        warmup: share of the run until the peak.
        weight_decay: of AdamW.
        beta2: memory of AdamW's second moments.
        clip_norm: the largest norm of the gradient.
        ema: decay of the averaged weights, which are validated and saved; 0 takes the latest, for
            tasks that keep an average of their own.
        precision: `no`, `bf16` or `fp16` (accelerate's mixed precision); `auto` is bf16 where it
            is faster, as torch says of the device.
        workers: processes that make batches ahead of time; 0 makes them in line.
        seed: of weights and data.
        validate_every: steps from one validation to the next.
        checkpoint_every: steps from one checkpoint to the next.
        picture_every: steps from one picture to the next.
    """

    max_steps: int = 100_000
    max_minutes: float | None = None
    batch_size: int = 1
    learning_rate: float = 5e-4
    warmup: float = 0.05
    weight_decay: float = 1e-4
    beta2: float = 0.999
    clip_norm: float = 1.0
    ema: float = 0.999
    precision: str = "no"
    workers: int = 1
    seed: int = 0
    validate_every: int = 1000
    checkpoint_every: int = 200
    picture_every: int = 5000

    def __post_init__(self) -> None:
        for name in ("max_steps", "batch_size", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UserError(f"training.{name}={getattr(self, name)} must be 1 or more")
        if self.precision not in ("no", "bf16", "fp16", "auto"):
            raise UserError(f"training.precision={self.precision} must be no, bf16, fp16 or auto")
        if self.workers < 0 or self.picture_every < 1:
            raise UserError("training.workers must be 0 or more, picture_every 1 or more")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise UserError(
                f"training.max_minutes={self.max_minutes} must be more than 0, or null for no limit"
            )
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise UserError(f"training.{name}={getattr(self, name)} must be more than 0")
        if not self.weight_decay >= 0:
            raise UserError(f"training.weight_decay={self.weight_decay} must be 0 or more")
        for name in ("warmup", "ema", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"training.{name}={getattr(self, name)} must be 0 or more, below 1")

    def mixed_precision(self) -> str:
        """Return `no`, `bf16` or `fp16`, as accelerate takes it."""
        if self.precision != "auto":
            return self.precision
        return "bf16" if bf16_pays(check_device("auto")) else "no"


class Task(Protocol):
    """What is trained.

    Attributes:
        model: `model(*inputs)` returns losses by name, `loss` among them.
        averaged: the part of the model whose running average is validated and saved.
        best_metric: the validation score that decides which weights are the best; more is better.
    """

    @property
    def model(self) -> nn.Module: ...  # noqa: D102

    @property
    def averaged(self) -> nn.Module: ...  # noqa: D102

    @property
    def best_metric(self) -> str: ...  # noqa: D102

    def inputs(self, batch: Any) -> tuple[Any, ...]:
        """Turn a batch, moved to the device, into what the model takes; without gradients."""
        ...

    def after_step(self, progress: float) -> None:
        """Called after each optimiser step with the share of the run that is done."""
        ...

    def validate(self, picture: bool) -> tuple[dict[str, float], np.ndarray | None]:
        """Return scores, and a picture `(H, W, 3) uint8` if one is asked for."""
        ...

    def save(self, folder: Path) -> None:
        """Write what users load."""
        ...


AnyTask = TypeVar("AnyTask", bound=Task)


class NumberedBatches(Protocol):
    """Batches by number; `seeds` says what a batch is made from."""

    def batch(self, numbers: list[int]) -> Any:
        """Return the batch of some clips; an object with `to(device)`."""
        ...


class _Steps(Dataset[Any]):
    """The batch of every step; processes of a group take turns."""

    def __init__(
        self, source: NumberedBatches, config: TrainingConfig, rank: int, world: int
    ) -> None:
        self._source, self._config, self._rank, self._world = source, config, rank, world

    def __len__(self) -> int:
        return self._config.max_steps

    def numbers(self, step: int) -> list[int]:
        """Return the numbers of the clips of a step's batch."""
        size = self._config.batch_size
        # Seeds far apart, or two of them would share nearly all clips.
        first = self._config.seed * 1_000_003 + (step * self._world + self._rank) * size
        return list(range(first, first + size))

    def __getitem__(self, step: int) -> Any:
        try:
            return self._source.batch(self.numbers(step))
        except UserError as error:
            return error  # raised in the main process, or a worker would wrap it in a traceback

    def stream(self, first_step: int) -> Iterator[Any]:
        """Yield batches from `first_step` on, made ahead of time."""
        workers = self._config.workers
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=range(first_step, len(self)),
            num_workers=workers,
            prefetch_factor=2 if workers else None,
            worker_init_fn=_run_opencv_in_line,
        )
        for batch in loader:
            if isinstance(batch, UserError):
                raise batch
            yield batch


def _run_opencv_in_line(worker: int) -> None:
    """Optical flow takes every core otherwise; of torch's threads workers have one anyway."""
    cv2.setNumThreads(0)  # not 1, which waits for the parent's threads, and those are not here


class TrainingLoop(Generic[AnyTask]):
    """Trains a task on numbered batches.

    Args:
        task: what is trained.
        source: of batches.
        config: how.
        run: the run's folder.
        accelerator: the device and the other processes.
    """

    def __init__(
        self,
        task: AnyTask,
        source: NumberedBatches,
        config: TrainingConfig,
        run: RunFolder,
        accelerator: Accelerator,
    ) -> None:
        self.task, self.config, self.run, self.accelerator = task, config, run, accelerator
        trained = [p for p in task.model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            trained,
            lr=config.learning_rate,
            betas=(0.9, config.beta2),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.model, self.optimizer = accelerator.prepare(task.model, optimizer)
        self.ema = AveragedModel(
            task.averaged, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True
        )
        self.steps = _Steps(source, config, accelerator.process_index, accelerator.num_processes)
        self.step, self.seconds, self.best = 0, 0.0, -math.inf

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints."""
        return self.accelerator.is_main_process

    def progress(self) -> float:
        """Share of the run that is done, by steps or by time, whichever is more."""
        minutes = self.config.max_minutes
        by_time = 0.0 if minutes is None else self.seconds / (60 * minutes)
        return min(1.0, max(self.step / self.config.max_steps, by_time))

    def train(self) -> float:
        """Train to the end; return the best validation score.

        Raises:
            UserError: the loss became NaN or infinite; the batch's seeds are saved.
        """
        self._resume()
        self._tell_if_finished()
        stream = self.steps.stream(self.step)
        # The first batch is made before the folder, so that bad data leaves nothing behind.
        stream = chain(list(islice(stream, 1)), stream)
        self.run.begin()
        with TrainingLog(self.run, self.config.max_steps, self.step, self.is_main) as log:
            started = time.perf_counter() - self.seconds
            while self.progress() < 1:
                try:
                    losses, rate = self._train_step(next(stream))
                except torch.cuda.OutOfMemoryError as error:
                    raise UserError(
                        "the GPU ran out of memory; lower training.batch_size, or make clips "
                        "smaller or shorter (data.size, data.frames), and resume"
                    ) from error
                self.step += 1
                self.seconds = self._agreed(time.perf_counter() - started)
                log.losses(self.step, losses, rate, self._clips_per_second())
                if self._due(self.config.validate_every):
                    self._validate(log)
                if self._due(self.config.checkpoint_every):
                    self._save()
        if self.is_main:
            with averaged_weights(self.task.averaged, self.ema):
                self.run.save_weights(self.run.last, self.task.save)
        return self.best

    def _tell_if_finished(self) -> None:
        if self.progress() >= 1 and self.is_main:
            log.warning(
                "the run in %s was finished already, after %d steps; to go on, raise "
                "training.max_steps or training.max_minutes, or begin another run_dir",
                self.run.path,
                self.step,
            )

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.progress() >= 1

    def _clips_per_second(self) -> float:
        return self.step * self.config.batch_size * self.accelerator.num_processes / self.seconds

    def _agreed(self, seconds: float) -> float:
        """All processes must stop at the same step, so they go by the first one's clock."""
        if self.accelerator.num_processes == 1:
            return seconds
        clock = torch.tensor([seconds], device=self.accelerator.device, dtype=torch.float64)
        torch.distributed.broadcast(clock, 0)
        return float(clock)

    def _train_step(self, batch: Any) -> tuple[dict[str, float], float]:
        """Take one optimiser step; return the losses and the learning rate."""
        rate = self.config.learning_rate * one_cycle(self.progress(), self.config.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        inputs = self.task.inputs(batch.to(self.accelerator.device))
        with self.accelerator.autocast():
            losses: dict[str, Tensor] = self.model(*inputs)
        # In one tensor, so that a GPU is waited for once a step.
        told = torch.stack([value.detach().float() for value in losses.values()]).tolist()
        values = dict(zip(losses, told, strict=True))
        if not math.isfinite(values["loss"]):
            path = self.run.save_bad_batch(self.step, self.steps.numbers(self.step), values)
            raise UserError(
                f"the loss became {values['loss']} at step {self.step}; the batch's seeds are in "
                f"{path}; lower training.learning_rate and resume"
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(losses["loss"])
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.task.after_step(self.progress())
        self.ema.update_parameters(self.task.averaged)
        return values, rate

    def _validate(self, log: TrainingLog) -> None:
        """Score the averaged weights; keep them if they are the best."""
        if self.is_main:
            log.validating()
            with averaged_weights(self.task.averaged, self.ema):
                scores, picture = self.task.validate(self._due(self.config.picture_every))
                log.scores(self.step, scores, picture)
                if scores[self.task.best_metric] > self.best:
                    self.best = scores[self.task.best_metric]
                    self.run.save_weights(self.run.best, self.task.save)
        self.accelerator.wait_for_everyone()

    def _save(self) -> None:
        if self.is_main:
            self.run.save_checkpoint(
                {
                    "model": self.task.model.state_dict(),
                    "ema": self.ema.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "step": self.step,
                    "seconds": self.seconds,
                    "best": self.best,
                    "rng": torch.get_rng_state(),
                    "scaler": self.accelerator.scaler and self.accelerator.scaler.state_dict(),
                }
            )
        self.accelerator.wait_for_everyone()

    def _resume(self) -> None:
        state = self.run.load_checkpoint(self.accelerator.device)
        if state is None:
            return
        try:
            self.task.model.load_state_dict(state["model"])
            self.ema.load_state_dict(state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise UserError(
                f"{self.run.checkpoint} is of another version of this software; use another "
                "run_dir, or delete it to start over"
            ) from error
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        torch.set_rng_state(state["rng"].cpu())
        if self.accelerator.scaler:  # fp16 alone scales its loss
            self.accelerator.scaler.load_state_dict(state["scaler"])


class averaged_weights:  # noqa: N801 - a context manager
    """Swaps a module's averaged weights in, and the trained ones back."""

    def __init__(self, module: nn.Module, ema: AveragedModel) -> None:
        self._module, self._ema = module, ema

    def __enter__(self) -> None:
        self._trained = {k: v.detach().clone() for k, v in self._module.state_dict().items()}
        self._module.load_state_dict(self._ema.module.state_dict())

    def __exit__(self, *_: object) -> None:
        self._module.load_state_dict(self._trained)


def one_cycle(progress: float, warmup: float) -> float:
    """Learning rate as a share of its peak: up in a line, down in a cosine (Smith, 1708.07120)."""
    if progress < warmup:
        return 0.04 + 0.96 * progress / warmup
    fall = (progress - warmup) / (1 - warmup)
    return 1e-3 + (1 - 1e-3) * 0.5 * (1 + math.cos(math.pi * min(1.0, fall)))
