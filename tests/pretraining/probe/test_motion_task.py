"""The motion task: what is drawn, and that its answers are true."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from tracker.pretraining.probe.motion_task import CLASSES, MotionTask, SteadyMotion

TASK = MotionTask(8, (64, 64))


class TestMotionTask:
    def test_reproducible_and_balanced(self) -> None:
        video, answers = TASK.clip(7)
        again, same = TASK.clip(7)
        assert video.shape == (8, 3, 64, 64) and video.min() >= 0 and video.max() <= 1
        assert torch.equal(video, again) and answers == same
        drawn = [draw_answers(seed) for seed in range(300)]
        for name, classes in CLASSES.items():
            counts = np.bincount([a[name] for a in drawn], minlength=len(classes))
            assert len(counts) == len(classes) and counts.min() > 150 / len(classes)

    @pytest.mark.parametrize("number", range(6))
    def test_what_is_seen_agrees_with_the_answers(self, number: int) -> None:
        """Only the shapes change from frame to frame; the picture behind them is still."""
        video, _ = TASK.clip(number)
        changed = (video[0] - video[-1]).abs().amax(0) > 0.05
        assert 0.02 < float(changed.float().mean()) < 0.9

    def test_maps_move_as_they_say(self) -> None:
        motion = SteadyMotion(
            middle=torch.tensor([[32.0, 32.0]]).double(),
            velocity=torch.tensor([[2.0, -1.0]]).double(),
            angle=torch.zeros(1).double(),
            spin=torch.tensor([0.1]).double(),
            growth=torch.tensor([0.05]).double(),
            frames=9,
        )
        (layer,) = motion.at(torch.tensor([4.0, 6.0], dtype=torch.float64))
        u = torch.tensor([[0.0, 0.0], [10.0, 0.0]]).double()
        xy = layer.frame_coordinates(u)
        torch.testing.assert_close(xy[0], torch.tensor([[32.0, 32.0], [36.0, 30.0]]).double())
        arm = xy[1] - xy[0]
        assert float(arm[0].norm()) == pytest.approx(10)
        # Two frames on: turned clockwise, for y points down, and grown.
        assert float(arm[1].norm()) == pytest.approx(10 * np.exp(0.1))
        assert float(torch.atan2(arm[1, 1], arm[1, 0])) == pytest.approx(0.2)

    def test_direction_is_the_way_the_shapes_go(self) -> None:
        """The centre of the change between neighbouring frames moves the way of the answer."""
        names = CLASSES["direction"]
        right = tried = 0
        for number in range(60):
            video, answers = TASK.clip(number)
            if names[answers["direction"]] not in ("E", "W"):
                continue
            tried += 1
            centres = [centre_of_change(video[t], video[t + 1]) for t in (0, 6)]
            right += ((centres[1] - centres[0]) > 0) == (names[answers["direction"]] == "E")
        assert tried >= 8 and right >= 0.8 * tried


def draw_answers(seed: int) -> dict[str, int]:
    random = Generator().manual_seed(seed)
    return {
        name: int(torch.randint(len(classes), (), generator=random))
        for name, classes in CLASSES.items()
    }


def centre_of_change(first: Tensor, second: Tensor) -> float:
    change = (first - second).abs().sum((0, 1))
    return float((change * torch.arange(len(change))).sum() / change.sum())
