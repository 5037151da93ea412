"""The loop of all training: what a run leaves, how it resumes, and how it stops."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_runs import history, make_loop

from tracker.errors import UserError
from tracker.training.batches import FlowConfig, ProceduralTracks, TrackedBatches
from tracker.training.config import TrainingConfig
from tracker.training.loop import TrainingLoop, one_cycle


def test_a_run_leaves_what_it_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best = make_loop(tmp_path, picture_every=1).train()
    printed = capsys.readouterr().err
    assert "validating: " in printed and ": :" not in printed
    assert len(history(tmp_path)) == 3
    with (tmp_path / "validation.csv").open() as file:
        (row,) = list(csv.DictReader(file))
    assert float(row["average_jaccard"]) == best
    assert list(tmp_path.glob("events.out.tfevents.*"))
    for folder in ("best", "last"):
        assert (tmp_path / folder / "model.safetensors").exists()


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


def test_a_finished_run_again_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    best = make_loop(tmp_path, max_steps=2).train()
    assert not caplog.messages
    before = history(tmp_path)
    assert make_loop(tmp_path, max_steps=2).train() == best
    (message,) = caplog.messages
    assert "finished already, after 2 steps" in message and "training.max_steps" in message
    np.testing.assert_array_equal(history(tmp_path), before)


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
