"""The tracker that ships: loads offline, and is not worse than when it was made."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import VJEPA2Model

from tracker.errors import UserError
from tracker.evaluation.metrics import mean_metrics
from tracker.evaluation.run import EvaluationSettings, score_sample, track_sample
from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.features.checkpoints import ASSETS, MINI_FOLDER
from tracker.features.template import PositionalTemplate
from tracker.registry import make_tracker
from tracker.settings import compose, instantiate
from tracker.tracking.tracker import PointTracker

SCENES = 3
FLOOR = 0.60
"""Average Jaccard on the first scenes of `procedural_128`; 0.623 when the weights were made,
and 0.464 of Lucas-Kanade."""


@pytest.fixture(scope="module")
def samples() -> list:
    config = compose("evaluate", ["benchmark=procedural_128", f"benchmark.scenes={SCENES}"], None)
    return [load() for _, load in instantiate(config.benchmark)]


def average_jaccard(name: str, samples: list) -> float:
    tracker, settings = make_tracker(name), EvaluationSettings()
    scores = [score_sample(track_sample(tracker, s, settings)[0], s, "first") for s in samples]
    return mean_metrics(scores)["average_jaccard"]


def test_accuracy_stays_above_its_floor(samples: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    score = average_jaccard("vjepa", samples)
    assert score > FLOOR
    assert score > average_jaccard("lk", samples)


def test_the_pretrained_backbone_loads_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    video = torch.rand(1, 4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    settings = BackboneConfig("mini", layers=(4, 8), input_size=(64, 64), window=4)
    trained = FrozenBackbone(settings)(video).features
    random = FrozenBackbone(replace(settings, source="mini-random"))(video).features
    assert trained.shape == random.shape and torch.isfinite(trained).all()
    assert not torch.allclose(trained, random, atol=0.1)
    plain, report = VJEPA2Model.from_pretrained(MINI_FOLDER, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert plain.config.hidden_size == trained.shape[3]


def test_the_template_belongs_to_the_backbone() -> None:
    template = PositionalTemplate.load(MINI_FOLDER / "template.safetensors")
    backbone = FrozenBackbone(BackboneConfig("mini"))
    template.check(backbone)
    old = FrozenBackbone(BackboneConfig(str(ASSETS / "mini" / "backbone")))
    with pytest.raises(UserError, match="belongs to a backbone with weights"):
        template.check(old)


def test_files_are_small() -> None:
    sizes = [path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()]
    assert max(sizes) <= 24 * 10**6
    assert sum(sizes) <= 48 * 10**6
    demo = [path for path in (ASSETS / "demo").iterdir() if path.suffix == ".mp4"]
    assert demo and all(path.stat().st_size <= 300_000 for path in demo)
    licences = (ASSETS / "demo" / "README.md").read_text()
    assert all(f"`{path.name}`" in licences for path in demo)


def test_mini_is_the_default() -> None:
    config = make_tracker("vjepa").config
    assert config == PointTracker.from_pretrained("mini").config
    # Weights from a file, not drawn anew: those in the tracker's own folder.
    assert config.backbone.source == str(ASSETS / "mini" / "backbone")


def test_the_shipped_tracker_takes_its_backbone_along(tmp_path: Path) -> None:
    """The backbone called `mini` may be another one in a later version."""
    shipped = PointTracker.from_pretrained("mini")
    shipped.save_pretrained(tmp_path / "copy")
    weights = tmp_path / "copy" / "backbone" / "model.safetensors"
    assert weights.read_bytes() == (ASSETS / "mini" / "backbone" / weights.name).read_bytes()
    assert json.loads((tmp_path / "copy" / "config.json").read_text()) == json.loads(
        (ASSETS / "mini" / "config.json").read_text()
    )
    copied = PointTracker.from_pretrained(tmp_path / "copy")
    assert copied.config.backbone.source == str((tmp_path / "copy" / "backbone").resolve())
    assert copied.fingerprint == shipped.fingerprint  # it does not matter where files lie
