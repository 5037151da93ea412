"""A tracker for another size of frames: new settings, new template, the same head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import save_tiny_backbone, tiny_tracker

from tracker.features.backbone import FrozenBackbone
from tracker.features.template_fitter import TemplateFitter
from tracker.tracking.tracker import PointTracker


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    tracker = tiny_tracker(save_tiny_backbone(tmp_path / "backbone"))
    fitter = TemplateFitter(tracker.backbone)
    fitter.update(torch.rand(2, 8, 3, 64, 64))
    tracker.template = fitter.finish()
    tracker.save_pretrained(tmp_path / "trained")
    return tmp_path / "trained"


def test_settings_and_template_change_and_the_head_stays(
    trained: Path, tmp_path: Path, run_command: Callable
) -> None:
    old = PointTracker.from_pretrained(trained)
    wider = FrozenBackbone(replace(old.config.backbone, input_size=(96, 96)))
    fitter = TemplateFitter(wider)
    fitter.update(torch.rand(2, 8, 3, 96, 96))
    fitter.finish().save(tmp_path / "t96.safetensors")
    settings = ["--set", "backbone.input_size=[96,96]", "--set", "fine_size=[96,96]"]
    command = ["-m", "data_prep.export_tracker", trained, "--out", tmp_path / "new"]

    refused = run_command(*command, *settings, cwd=tmp_path)
    assert refused.code == 2
    assert "template was fitted with input_size" in refused.err
    assert not (tmp_path / "new").exists()

    done = run_command(
        *command, *settings, "--template", tmp_path / "t96.safetensors", cwd=tmp_path
    )
    assert done.code == 0, done.err
    new = PointTracker.from_pretrained(tmp_path / "new")
    assert new.config.fine_size == new.config.backbone.input_size == (96, 96)
    assert new.template.mean.shape[-2:] == (6, 6)
    for name, weight in old.head.state_dict().items():
        assert torch.equal(weight, new.head.state_dict()[name])


def test_changes_must_be_settings(trained: Path, tmp_path: Path, run_command: Callable) -> None:
    command = ["-m", "data_prep.export_tracker", trained, "--out", tmp_path / "new", "--set"]
    for wrong in ("fine_size", "fine_size=[7,7]", "fine_siz=[64,64]", "fine_size=[64"):
        result = run_command(*command, wrong, cwd=tmp_path)
        assert result.code == 2, wrong
        assert result.err.count("\n") == 1
