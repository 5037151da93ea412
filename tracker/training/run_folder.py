"""The folder of a training run: checkpoints that survive being killed at any moment."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tracker.errors import UserError
from tracker.files import atomic_path, prepare_output_dir

MAY_CHANGE = {
    f"training.{name}"
    for name in (
        "max_steps",
        "max_minutes",
        "learning_rate",
        "workers",
        "validate_every",
        "checkpoint_every",
        "picture_every",
    )
}
"""Settings with which a run may go on although it began with others."""


def flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted names.

    >>> flatten({"training": {"seed": 1}, "template": "none"})
    {'training.seed': 1, 'template': 'none'}
    """
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


class RunFolder:
    """Where one run keeps what it makes. Nothing is written before `begin`.

    Args:
        path: the folder; made if missing.
        settings: of the run; a checkpoint made with others is not taken up.
        resume: take up the run that is there (`auto`), or refuse a folder that holds one (`never`).

    Raises:
        UserError: it holds a run although `never`, or one with other settings.
    """

    def __init__(self, path: str | Path, settings: dict[str, Any], resume: str = "auto") -> None:
        if resume not in ("auto", "never"):
            raise UserError(f"resume={resume} must be auto or never")
        self.path = Path(path)
        self._settings = json.loads(json.dumps(settings))
        known = self.path / "settings.json"
        if self.checkpoint.exists() and known.exists():
            if resume == "never":
                raise UserError(
                    f"{self.path} already holds a run; use resume=auto or another run_dir"
                )
            self._compare(json.loads(known.read_text()))

    def begin(self) -> None:
        """Make the folder and write the settings; to be called once all that is read is known good.

        Raises:
            UserError: the folder cannot be written.
        """
        prepare_output_dir(self.path)
        for folder in (self.best, self.last):
            old = folder.with_name(f".{folder.name}.old")
            if old.exists() and not folder.exists():
                old.rename(folder)  # killed between two renames
        with atomic_path(self.path / "settings.json") as partial:
            partial.write_text(json.dumps(self._settings, indent=1) + "\n")

    def _compare(self, earlier: dict[str, Any]) -> None:
        ours, theirs = flatten(self._settings), flatten(earlier)
        for key in sorted((ours.keys() | theirs.keys()) - MAY_CHANGE):
            if ours.get(key) != theirs.get(key):
                raise UserError(
                    f"{self.path} holds a run with {key}={theirs.get(key)}, not "
                    f"{ours.get(key)}; use another run_dir, or delete it to start over"
                )

    @property
    def checkpoint(self) -> Path:
        """File with everything needed to go on."""
        return self.path / "checkpoint.pt"

    @property
    def history(self) -> Path:
        """CSV with a row for each step."""
        return self.path / "history.csv"

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint; a kill in between leaves the old one."""
        with atomic_path(self.checkpoint) as partial:
            try:
                torch.save(state, partial)
            except RuntimeError as error:  # what its zip writer makes of a full disk
                raise OSError(str(error).splitlines()[0]) from error

    def load_checkpoint(self, device: torch.device) -> dict[str, Any] | None:
        """Return the last checkpoint, None if there is none.

        Raises:
            UserError: it is damaged.
        """
        if not self.checkpoint.exists():
            return None
        try:
            return torch.load(self.checkpoint, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{self.checkpoint} is damaged ({reason}); delete it to start over"
            ) from error

    @property
    def best(self) -> Path:
        """Folder of the best weights so far."""
        return self.path / "best"

    @property
    def last(self) -> Path:
        """Folder of the weights at the end."""
        return self.path / "last"

    def save_weights(self, folder: Path, save: Callable[[Path], None]) -> None:
        """Replace `best/` or `last/` by what `save` writes into a folder."""
        fresh, old = (folder.with_name(f".{folder.name}.{age}") for age in ("new", "old"))
        shutil.rmtree(fresh, ignore_errors=True)
        save(fresh)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        shutil.rmtree(old, ignore_errors=True)

    def save_bad_batch(self, step: int, seeds: list[int], values: dict[str, float]) -> Path:
        """Write what is needed to make a batch again."""
        path = self.path / f"bad_batch_{step}.json"
        with atomic_path(path) as partial:
            losses = {name: repr(value) for name, value in values.items()}
            partial.write_text(json.dumps({"step": step, "seeds": seeds, "losses": losses}))
        return path
