"""Training the head: nothing else changes, runs resume exactly, bad numbers stop."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from tiny_models import TINY_HEAD, save_tiny_backbone, tiny_tracker

from tracker.checkpoints import RunFolder
from tracker.data.procedural import SceneConfig
from tracker.data.procedural_benchmark import ProceduralBenchmark
from tracker.data.training import FlowConfig, ProceduralTracks, TrackedBatches
from tracker.errors import UserError
from tracker.losses import LossConfig
from tracker.model import PointTracker
from tracker.training import TrackingTask, start_from, train_only
from tracker.training_loop import TrainingConfig, TrainingLoop, one_cycle

ROOT = Path(__file__).resolve().parent.parent


def make_loop(
    folder: Path, source: object = None, part: str | None = None, **changes: object
) -> TrainingLoop:
    torch.manual_seed(0)
    scene = SceneConfig(frames=6, height=64, width=64, points=8)
    tracker = tiny_tracker()
    if part:
        train_only(tracker.head, part)
    held_out = ProceduralBenchmark("held-out", scenes=1, config=scene)
    task = TrackingTask(tracker, LossConfig(), held_out)
    settings = {"max_steps": 3, "workers": 0, "validate_every": 100, "learning_rate": 1e-3}
    config = TrainingConfig(**(settings | changes))
    source = source or TrackedBatches(ProceduralTracks(6, (64, 64), 8), FlowConfig())
    return TrainingLoop(task, source, config, RunFolder(folder, {}), Accelerator(cpu=True))


def fingerprint(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + tensor.detach().numpy().tobytes())
    return digest.hexdigest()


def history(folder: Path) -> np.ndarray:
    with (folder / "history.csv").open() as file:
        return np.array([[float(x) for x in row] for row in list(csv.reader(file))[1:]])


def test_losses_in_half_precision_are_nearly_the_same(tmp_path: Path) -> None:
    loop = make_loop(tmp_path)
    batch = TrackedBatches(ProceduralTracks(6, (64, 64), 8), FlowConfig()).batch([0])
    inputs = loop.task.inputs(batch)
    exact = loop.task.model(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        rough = loop.task.model(*inputs)
    assert rough["coarse"] != exact["coarse"]
    for name in ("coarse", "matching", "visibility"):
        torch.testing.assert_close(rough[name], exact[name], rtol=0.05, atol=0.02)
    rough["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in loop.task.model.parameters())


def test_training_changes_the_head_and_no_byte_of_the_backbone(tmp_path: Path) -> None:
    loop = make_loop(tmp_path)
    tracker = loop.task.tracker
    before = fingerprint(tracker.backbone.model.state_dict()), fingerprint(tracker.state_dict())
    loop.train()
    assert fingerprint(tracker.backbone.model.state_dict()) == before[0]
    assert fingerprint(tracker.state_dict()) != before[1]
    trained = {id(p) for group in loop.optimizer.param_groups for p in group["params"]}
    assert not trained & {id(p) for p in tracker.backbone.model.parameters()}
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    assert not any("encoder." in name for name in saved)


def test_a_run_leaves_what_it_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best = make_loop(tmp_path, picture_every=1).train()
    assert "validating: " in capsys.readouterr().err
    assert len(history(tmp_path)) == 3
    with (tmp_path / "validation.csv").open() as file:
        (row,) = list(csv.DictReader(file))
    assert float(row["average_jaccard"]) == best
    assert list(tmp_path.glob("events.out.tfevents.*"))
    for folder in ("best", "last"):
        assert (tmp_path / folder / "model.safetensors").exists()


def test_loss_falls_on_one_batch(tmp_path: Path) -> None:
    class Same:
        _source = TrackedBatches(ProceduralTracks(6, (64, 64), 8), FlowConfig())

        def batch(self, numbers: list[int]):
            return self._source.batch([0])

    make_loop(tmp_path, Same(), max_steps=40, learning_rate=3e-3).train()
    losses = history(tmp_path)[:, 1]
    assert losses[-5:].mean() < 0.7 * losses[:5].mean()


def test_resumed_run_equals_one_that_was_not_interrupted(tmp_path: Path) -> None:
    make_loop(tmp_path / "whole", max_steps=6, checkpoint_every=2).train()
    first = make_loop(tmp_path / "cut", max_steps=6, checkpoint_every=2)
    stop_at(first, 5)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    make_loop(tmp_path / "cut", max_steps=6, checkpoint_every=2).train()
    np.testing.assert_allclose(
        history(tmp_path / "cut"), history(tmp_path / "whole"), rtol=1e-5, atol=1e-6
    )


def test_a_checkpoint_of_another_head_is_one_line(tmp_path: Path) -> None:
    make_loop(tmp_path, max_steps=2).train()
    loop = make_loop(tmp_path, max_steps=4)
    loop.task.model.register_parameter("added_since", torch.nn.Parameter(torch.zeros(1)))
    with pytest.raises(UserError, match=r"checkpoint\.pt is of another version"):
        loop.train()


def stop_at(loop: TrainingLoop, step: int) -> None:
    original = loop._train_step

    def step_or_stop(batch: object):
        if loop.step == step:
            raise KeyboardInterrupt
        return original(batch)

    loop._train_step = step_or_stop


def test_loss_that_is_not_finite_stops_with_the_seeds(tmp_path: Path) -> None:
    class Bad(TrackedBatches):
        def batch(self, numbers: list[int]):
            clips = super().batch(numbers)
            if numbers[0] >= 2:
                clips.xy[0, 0, :] = float("nan")
                clips.visible[0, 0, :] = True
            return clips

    loop = make_loop(tmp_path, Bad(ProceduralTracks(6, (64, 64), 8), FlowConfig()), batch_size=2)
    with pytest.raises(UserError, match=r"loss became nan at step 1.*bad_batch_1\.json"):
        loop.train()
    assert json.loads((tmp_path / "bad_batch_1.json").read_text())["seeds"] == [2, 3]


def test_time_limit_ends_a_run_and_anneals_its_rate(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, max_steps=10_000, max_minutes=0.02)
    loop.train()
    assert 0 < loop.step < 10_000
    assert loop.progress() == 1
    assert (tmp_path / "best").exists()


def test_one_cycle() -> None:
    assert one_cycle(0, 0.1) == pytest.approx(0.04)
    assert one_cycle(0.1, 0.1) == pytest.approx(1)
    assert one_cycle(1, 0.1) == pytest.approx(1e-3)
    falling = [one_cycle(p, 0.1) for p in np.linspace(0.1, 1, 20)]
    assert falling == sorted(falling, reverse=True)


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
        "+validation.config={_target_: tracker.data.procedural.SceneConfig, frames: 6, "
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
    import train_tracker

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


def test_a_damaged_warm_start_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"garbage")
    with pytest.raises(UserError, match=r"warm_start: .*model\.safetensors is damaged"):
        start_from(tiny_tracker(), str(tmp_path))


def test_a_head_of_the_coarse_match_alone_begins_a_whole_one(tmp_path: Path) -> None:
    matching = tiny_tracker(head=replace(TINY_HEAD, iterations=0))
    for parameter in matching.head.parameters():
        parameter.data += 0.5
    matching.save_pretrained(tmp_path)
    whole = tiny_tracker()
    fresh = {k: v.clone() for k, v in whole.head.state_dict().items()}
    start_from(whole, str(tmp_path))
    learned = matching.head.state_dict()
    for name, value in whole.head.state_dict().items():
        expected = fresh[name] if name.startswith("refine.") else learned[name]
        torch.testing.assert_close(value, expected, atol=1e-3, rtol=1e-3)


def test_one_part_can_be_trained_alone(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, part="refine")
    head = loop.task.tracker.head
    before = {k: v.clone() for k, v in head.state_dict().items()}
    loop.train()
    changed = {k for k, v in head.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {k for k in before if k.startswith("refine.")}


def test_a_warm_start_of_another_shape_is_one_line(tmp_path: Path) -> None:
    tiny_tracker(head=replace(TINY_HEAD, iterations=0, stem_channels=8)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"do not fit config of this run: \w+.* more differ"):
        start_from(tiny_tracker(), str(tmp_path))


def test_seeds_share_no_clips(tmp_path: Path) -> None:
    clips = [set(make_loop(tmp_path / str(s), seed=s).steps.numbers(7)) for s in (0, 1)]
    assert not clips[0] & clips[1]


def test_bad_data_in_a_worker_is_one_line(tmp_path: Path) -> None:
    class Bad:
        def batch(self, numbers: list[int]) -> None:
            raise UserError(f"clip {numbers[0]} is damaged")

    with pytest.raises(UserError) as error:
        make_loop(tmp_path / "run", Bad(), workers=1).train()
    assert str(error.value) == "clip 0 is damaged"
    assert not (tmp_path / "run").exists()


def test_workers_have_one_thread_of_each_library(tmp_path: Path) -> None:
    class Threads:
        def batch(self, numbers: list[int]) -> tuple[int, int]:
            return cv2.getNumThreads(), torch.get_num_threads()

    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    cv2.GaussianBlur(np.zeros((512, 512), np.uint8), (9, 9), 2)  # threads that workers do not have
    try:
        stream = make_loop(tmp_path, Threads(), workers=1).steps.stream(0)
        assert list(next(stream)) == [1, 1]
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize(
    "changes",
    [
        {"max_steps": 0},
        {"max_minutes": 0},
        {"max_minutes": -1},
        {"validate_every": 0},
        {"precision": "half"},
        {"workers": -1},
        {"learning_rate": 0},
        {"clip_norm": 0},
        {"weight_decay": -1},
        {"warmup": 1},
        {"ema": 1},
    ],
)
def test_settings_that_cannot_be(changes: dict) -> None:
    with pytest.raises(UserError, match="must be"):
        TrainingConfig(**changes)
