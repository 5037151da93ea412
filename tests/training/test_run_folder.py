"""The folder of a run: what it refuses, and what survives a kill."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tracker.errors import UserError
from tracker.training.run_folder import RunFolder


def test_a_folder_refuses_other_settings_and_second_runs(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, {"seed": 1})
    run.begin()
    run.save_checkpoint({"step": 1})
    with pytest.raises(UserError, match=r"run with seed=1, not 2"):
        RunFolder(tmp_path, {"seed": 2})
    with pytest.raises(UserError, match="already holds a run"):
        RunFolder(tmp_path, {"seed": 1}, resume="never")
    (tmp_path / "checkpoint.pt").write_bytes(b"garbage")
    with pytest.raises(UserError, match=r"checkpoint\.pt is damaged"):
        RunFolder(tmp_path, {"seed": 1}).load_checkpoint(torch.device("cpu"))


def test_a_full_disk_keeps_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path, {"seed": 1})
    run.begin()
    run.save_checkpoint({"step": 1})

    def full(*args: object) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file data/0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"cannot write .*checkpoint\.pt.*disk space"):
        run.save_checkpoint({"step": 2})
    assert run.load_checkpoint(torch.device("cpu")) == {"step": 1}


def test_a_run_may_go_on_with_other_limits_and_rates(tmp_path: Path) -> None:
    settings = {"training": {"seed": 1, "learning_rate": 1e-3, "max_steps": 5}}
    run = RunFolder(tmp_path, settings)
    run.begin()
    run.save_checkpoint({"step": 1})
    RunFolder(tmp_path, {"training": {"seed": 1, "learning_rate": 1e-4, "max_steps": 9}})
    with pytest.raises(UserError, match=r"training\.seed=1, not 2"):
        RunFolder(tmp_path, {"training": {"seed": 2}})


def test_best_weights_survive_a_kill_between_renames(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, {})
    run.save_weights(run.best, lambda folder: folder.mkdir())
    run.best.rename(tmp_path / ".best.old")
    RunFolder(tmp_path, {}).begin()
    assert run.best.is_dir()
