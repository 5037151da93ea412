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
from itertools import chain, islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from tracker.errors import UserError, log
from tracker.extras import needs
from tracker.training.config import TrainingConfig
from tracker.training.log import TrainingLog
from tracker.training.optimizers import open_optimizers
from tracker.training.run_folder import RunFolder

with needs("train"):
    from accelerate import Accelerator


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
        optimizers = open_optimizers(config, task.model, task.averaged)
        self.model, *self.optimizers = accelerator.prepare(task.model, *optimizers)
        self.peaks = [[group["lr"] for group in o.param_groups] for o in self.optimizers]
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
        share = one_cycle(self.progress(), self.config.warmup)
        for optimizer, peaks in zip(self.optimizers, self.peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = share * peak
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
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(losses["loss"])
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        self.task.after_step(self.progress())
        self.ema.update_parameters(self.task.averaged)
        return values, share * self.config.learning_rate

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
                    "optimizers": [o.state_dict() for o in self.optimizers],
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
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
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
