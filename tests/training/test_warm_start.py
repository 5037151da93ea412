"""Beginning with another tracker's head: the same features, or those that were asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_models import (
    fitted,
    forget_fingerprints,
    save_other_backbone,
    save_tiny_backbone,
    tiny_tracker,
)

from tracker.errors import UserError
from tracker.tracking.tracker import PointTracker
from tracker.training.warm_start import start_from


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A tracker with template and backbone of its own."""
    tracker = tiny_tracker(save_tiny_backbone(tmp_path / "source"))
    tracker.template = fitted(tracker)
    tracker.save_pretrained(tmp_path / "tracker")
    return tmp_path / "tracker"


def test_the_same_features(saved: Path) -> None:
    tracker = PointTracker.from_pretrained(saved)
    with torch.no_grad():
        tracker.head.stem.out4.weight.zero_()
    start_from(tracker, str(saved))
    assert tracker.head.stem.out4.weight.abs().max() > 0


def test_another_template(saved: Path) -> None:
    raw = tiny_tracker()
    with pytest.raises(UserError, match=r"trained with template \w+, but this run has none"):
        start_from(raw, str(saved))
    start_from(raw, str(saved), other_features=True)


def test_another_backbone(saved: Path, tmp_path: Path) -> None:
    run = tiny_tracker(save_other_backbone(tmp_path / "other"))
    run.template = fitted(run)
    with pytest.raises(UserError, match=r"with backbone .* warm_start_other_features=true"):
        start_from(run, str(saved))
    start_from(run, str(saved), other_features=True)


def test_an_earlier_version(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    forget_fingerprints(saved)
    start_from(tiny_tracker(), str(saved))
    assert ["without fingerprints" in r.getMessage() for r in caplog.records] == [True]


def test_a_config_is_needed(saved: Path) -> None:
    (saved / "config.json").unlink()
    with pytest.raises(UserError, match=r"warm_start: tracker .* has no config\.json"):
        start_from(tiny_tracker(), str(saved))
