"""The training command, end to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_models import save_tiny_backbone
from tiny_runs import history

from tracker.tracking.tracker import PointTracker

ROOT = Path(__file__).resolve().parents[2]


def tiny_command(tmp_path: Path, run: str, *extra: str) -> list[str]:
    """Arguments of `train_tracker.py` for a run of seconds."""
    backbone = tmp_path / "backbone"
    if not backbone.exists():
        save_tiny_backbone(backbone)
    return [
        str(ROOT / "train_tracker.py"),
        f"backbone.source={backbone}",
        "backbone.layers=[1,2]",
        "backbone.input_size=[64,64]",
        "backbone.window=8",
        "fine_size=[64,64]",
        "data.frames=6",
        "data.size=[64,64]",
        "data.points=8",
        "validation.scenes=1",
        "+validation.config={_target_: tracker.scenes.renderer.SceneConfig, frames: 6, "
        "height: 64, width: 64, points: 8}",
        *(
            f"head.{name}={value}"
            for name, value in {
                "content_channels": 16,
                "stem_channels": 16,
                "iterations": 1,
                "width": 32,
                "depth": 1,
                "heads": 2,
                "correlation_channels": 16,
            }.items()
        ),
        "training.max_steps=8",
        "training.checkpoint_every=2",
        "training.validate_every=8",
        "training.workers=0",
        f"run_dir={tmp_path / run}",
        "threads=1",
        *extra,
    ]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}


def test_killed_command_goes_on_to_the_same_curve(tmp_path: Path) -> None:
    whole = tiny_command(tmp_path, "whole")
    done = subprocess.run(
        [sys.executable, *whole], capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr
    assert "tracker written" in done.stdout
    cut = [sys.executable, *tiny_command(tmp_path, "cut")]
    process = subprocess.Popen(
        cut, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "cut" / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / "cut" / "checkpoint.pt").exists()
    again = subprocess.run(cut, capture_output=True, text=True, env=environment(), check=False)
    assert again.returncode == 0, again.stderr
    np.testing.assert_allclose(
        history(tmp_path / "cut"), history(tmp_path / "whole"), rtol=1e-5, atol=1e-6
    )
    loaded = PointTracker.from_pretrained(tmp_path / "cut" / "best")
    assert loaded.config.head.width == 32


def test_two_processes_train_together(tmp_path: Path) -> None:
    command = tiny_command(
        tmp_path,
        "pair",
        "training.max_steps=3",
        "training.validate_every=3",
        "train_only=refine",
        "loss.matching=0",
    )
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [sys.executable, *launcher, *command],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("tracker written") == 1
    assert len(history(tmp_path / "pair")) == 3


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("backbone.layers=[9]", "has layers 1..2"),
        ("template=nowhere.safetensors", "template nowhere.safetensors does not exist"),
        ("data=kubric", "Kubric tracks are published at"),
        ("training.nonsense=3", "nonsense"),
        ("warm_start=nowhere", "nowhere/model.safetensors does not exist"),
        ("resume=perhaps", "must be auto or never"),
        ("train_only=legs", "train_only=legs is no part of the head; it has projection, stem"),
        ("fine_size=64", "fine_size=64: give height and width"),
        ("data.size=64", "data.size=64: give height and width"),
        ("head.content_channels=20", "head.content_channels=20 must be a multiple of 8"),
        ("flow.without=2", "flow.without=2 must be from 0 to 1"),
        ("data.device=abacus", "device abacus cannot be used"),
    ],
)
def test_wrong_settings_are_one_line(
    extra: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from tracker.cli import train as train_tracker

    command = tiny_command(tmp_path, "bad", extra)
    if extra == "data=kubric":
        command = [c for c in command if c not in ("data.frames=6", "data.size=[64,64]")]
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stop:
        train_tracker.main()
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "bad").exists()
