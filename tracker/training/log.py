"""What a training run tells: a progress bar, `history.csv`, TensorBoard."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from tracker.extras import needs
from tracker.files import atomic_path
from tracker.progress import Bar
from tracker.training.run_folder import RunFolder

with needs("train"):
    from torch.utils.tensorboard import SummaryWriter

SHOWN = {
    "average_jaccard": "AJ",
    "average_pts_within_thresh": "delta_avg",
    "occlusion_accuracy": "OA",
}


class TrainingLog:
    """Writes only in the main process; rows after `step`, of a killed run, are cut.

    Args:
        run: the run's folder.
        max_steps: where the bar ends.
        step: where the run goes on.
        is_main: False makes everything a no-op.
    """

    def __init__(self, run: RunFolder, max_steps: int, step: int, is_main: bool) -> None:
        self._run, self._step, self._max_steps, self._is_main = run, step, max_steps, is_main

    def __enter__(self) -> TrainingLog:
        if not self._is_main:
            return self
        keep_rows(self._run.history, self._step)
        keep_rows(self._run.path / "validation.csv", self._step)
        self._board = SummaryWriter(str(self._run.path), purge_step=self._step + 1)
        self._file = self._run.history.open("a", newline="")
        self._writer = csv.writer(self._file)
        self._bar = Bar(total=self._max_steps, initial=self._step, unit="steps", desc="training")
        self._scores: dict[str, str] = {}
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_main:
            self._bar.close()
            self._file.close()
            self._board.close()

    def losses(
        self, step: int, losses: dict[str, float], rate: float, clips_per_second: float
    ) -> None:
        """Record one step."""
        if not self._is_main:
            return
        if self._file.tell() == 0:
            self._writer.writerow(["step", *losses, "learning_rate"])
        self._writer.writerow([step, *losses.values(), rate])
        self._file.flush()
        for name, value in losses.items():
            self._board.add_scalar(f"loss/{name}", value, step)
        self._board.add_scalar("speed/learning_rate", rate, step)
        self._board.add_scalar("speed/clips_per_second", clips_per_second, step)
        self._bar.set_postfix(loss=f"{losses['loss']:.3f}", **self._scores, refresh=False)
        self._bar.update()

    def validating(self) -> None:
        """Show that a validation is going on, until its scores come."""
        self._bar.set_description_str("validating")

    def scores(self, step: int, scores: dict[str, float], picture: np.ndarray | None) -> None:
        """Record the scores of a validation, and its picture `(H, W, 3) uint8`."""
        path = self._run.path / "validation.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", *scores])
            writer.writerow([step, *scores.values()])
        for name, value in scores.items():
            self._board.add_scalar(f"validation/{name}", value, step)
        if picture is not None:
            self._board.add_image("validation/picture", picture, step, dataformats="HWC")
        self._bar.set_description_str("training", refresh=False)
        shown = [name for name in SHOWN if name in scores] or list(scores)[:2]
        self._scores = {SHOWN.get(name, name): f"{scores[name]:.3f}" for name in shown}


def keep_rows(path: Path, last_step: int) -> None:
    """Drop the rows of a CSV whose step lies after `last_step`."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        rows: list[list[Any]] = list(csv.reader(file))
    kept = rows[:1] + [row for row in rows[1:] if row[0].isdigit() and int(row[0]) <= last_step]
    # A run killed here must not lose the rows that it already had.
    with atomic_path(path) as partial, partial.open("w", newline="") as file:
        csv.writer(file).writerows(kept)
