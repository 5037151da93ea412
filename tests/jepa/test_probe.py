"""The attentive probe, and the motion task that it is measured on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import save_tiny_backbone
from torch import Generator, Tensor

from tracker.errors import UserError
from tracker.jepa.labelled_videos import LabelledVideos
from tracker.jepa.motion_task import CLASSES, MotionTask, SteadyMotion
from tracker.jepa.probe import (
    AttentiveProbe,
    LabelledFeatures,
    ProbeConfig,
    fit_probe,
    format_table,
    main,
    probe_table,
)
from tracker.video import write_video

TASK = MotionTask(8, (64, 64))


def needle_features(clips: int, seed: int) -> LabelledFeatures:
    """One token of many is marked and tells the class; the others are noise that averages out."""
    random = Generator().manual_seed(seed)
    labels = torch.randint(2, (clips,), generator=random)
    tokens = torch.randn(clips, 64, 8, generator=random)
    place = torch.randint(64, (clips,), generator=random)
    tokens[torch.arange(clips), place, 0] = 8
    tokens[torch.arange(clips), place, 1] = (2 * labels - 1) * 3.0
    return LabelledFeatures(tokens.half(), {"needle": labels})


class TestProbe:
    def test_is_cross_attention(self) -> None:
        """The cheap order of products gives what torch's attention gives with the same weights."""
        torch.manual_seed(0)
        probe, tokens = AttentiveProbe(12, 3, 5), torch.randn(2, 7, 12)
        attention = torch.nn.MultiheadAttention(12, 3, batch_first=True)
        with torch.no_grad():
            linears = (probe.key.weight, probe.value.weight)
            attention.in_proj_weight.copy_(torch.cat([torch.eye(12), *linears]))
            attention.in_proj_bias.copy_(torch.cat([torch.zeros(24), probe.value.bias]))
        attention.out_proj = probe.output
        query = probe.query.flatten().expand(2, 1, -1)
        normed = probe.norm(tokens)
        expected = probe.classify(attention(query, normed, normed)[0][:, 0])
        torch.testing.assert_close(probe(tokens), expected)

    def test_attention_finds_the_needle(self) -> None:
        train, test = needle_features(300, 0), needle_features(200, 1)
        config = ProbeConfig(learning_rate=1e-2)
        (result,) = probe_table(train, test, {"needle": ("a", "b")}, 2, config)
        assert result.accuracy["attentive"] > 0.9
        assert result.accuracy["average"] < result.accuracy["attentive"] - 0.1
        assert 0.5 <= result.chance < 0.6
        table = format_table([result])
        assert "needle" in table and f"{100 * result.accuracy['attentive']:.1f}" in table

    def test_average_learns_what_the_mean_tells(self) -> None:
        labels = torch.arange(3).repeat(20)
        tokens = torch.randn(60, 10, 6, generator=Generator().manual_seed(0))
        tokens[:, :, :3] += torch.nn.functional.one_hot(labels, 3)[:, None] * 2
        predict = fit_probe("average", (tokens, labels), 3, 2, ProbeConfig(learning_rate=1e-2))
        assert float((predict(tokens) == labels).float().mean()) > 0.9

    def test_repeats_exactly(self) -> None:
        data = needle_features(40, 0)
        config = ProbeConfig(epochs=2)
        predictions = []
        for _ in range(2):
            torch.rand(3)  # what else happens must not matter
            fitted = (data.tokens, data.labels["needle"])
            predictions.append(fit_probe("attentive", fitted, 2, 2, config)(data.tokens))
        assert torch.equal(*predictions)


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


@pytest.fixture(scope="module")
def class_folder(
    tmp_path_factory: pytest.TempPathFactory, make_frames: Callable[..., np.ndarray]
) -> Path:
    """Videos that move to the right, and the same ones backwards; one file is damaged."""
    root = tmp_path_factory.mktemp("classes")
    for name, step in (("right", 1), ("left", -1)):
        (root / name).mkdir()
        for seed in range(4):
            write_video(root / name / f"{seed}.mp4", make_frames(10, seed=seed)[::step], fps=10)
    (root / "left" / "broken.mp4").write_bytes(b"no video")
    return root


class TestVideos:
    def test_folder_per_class(self, class_folder: Path) -> None:
        data = LabelledVideos.from_folder(class_folder)
        assert data.classes == ("left", "right") and data.labels == [0] * 4 + [1] * 4
        assert [Path(path).name for path in data.skipped] == ["broken.mp4"]
        train, test = data.split(0.25, 0)
        assert sorted(train + test) == list(range(8))
        assert [data.labels[i] for i in test] == [0, 1]
        assert data.clip(0, 4, (32, 48)).shape == (4, 3, 32, 48)
        # More frames than there are: some come twice.
        assert data.clip(0, 16, (32, 48)).shape == (16, 3, 32, 48)

    def test_bad_folders(self, tmp_path: Path, class_folder: Path) -> None:
        with pytest.raises(UserError, match="does not exist"):
            LabelledVideos.from_folder(tmp_path / "nowhere")
        with pytest.raises(UserError, match="has 0 subfolders"):
            LabelledVideos.from_folder(tmp_path)
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        with pytest.raises(UserError, match="holds 0 readable videos"):
            LabelledVideos.from_folder(tmp_path)


class TestCommand:
    def test_rendered(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        backbone = save_tiny_backbone(tmp_path / "tiny")
        out = tmp_path / "out" / "table.json"
        size = ["--size", "32", "32", "--frames", "4", "--clips", "12", "--test-clips", "6"]
        main(["--backbone", str(backbone), *size, "--epochs", "2", "--out", str(out)])
        printed = capsys.readouterr().out
        results = json.loads(out.read_text())["results"]
        assert [result["task"] for result in results] == list(CLASSES)
        assert all(name in printed for name in CLASSES)
        assert set(results[0]["accuracy"]) == {"attentive", "average"}

    def test_videos(
        self, tmp_path: Path, class_folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        backbone = save_tiny_backbone(tmp_path / "tiny")
        size = ["--size", "32", "32", "--frames", "4", "--epochs", "1"]
        main(["--backbone", str(backbone), "--videos", str(class_folder), *size])
        printed = capsys.readouterr().out
        assert "6 clips to learn from, 2 to test on" in printed and "broken.mp4" in printed

    def test_help_and_mistakes(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stop:
            main(["--help"])
        assert stop.value.code == 0 and "attentive probe" in capsys.readouterr().out
        with pytest.raises(SystemExit) as stop:
            main(["--clips", "0"])
        assert stop.value.code == 2 and "start at 1" in capsys.readouterr().err
        with pytest.raises(SystemExit) as stop:
            main(["--device", "abacus"])
        assert stop.value.code == 2 and "device abacus cannot" in capsys.readouterr().err
