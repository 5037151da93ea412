"""A saved tracker knows its backbone and template, and says which is missing or foreign."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_models import (
    TINY_HEAD,
    fitted,
    forget_fingerprints,
    save_other_backbone,
    save_tiny_backbone,
    tiny_tracker,
)

from tracker.errors import UserError
from tracker.tracking.tracker import PointTracker


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A tracker with template and backbone of its own."""
    tracker = tiny_tracker(save_tiny_backbone(tmp_path / "source"))
    tracker.template = fitted(tracker)
    tracker.save_pretrained(tmp_path / "tracker")
    return tmp_path / "tracker"


def test_fingerprints_are_recorded_and_agree(saved: Path, tmp_path: Path) -> None:
    loaded = PointTracker.from_pretrained(saved)
    recorded = json.loads((saved / "config.json").read_text())["fingerprints"]
    assert recorded == {
        "backbone": loaded.backbone.fingerprint(),
        "template": loaded.template.fingerprint(),
    }
    tiny_tracker().save_pretrained(tmp_path / "raw")
    raw = json.loads((tmp_path / "raw" / "config.json").read_text())["fingerprints"]
    assert raw == {"backbone": recorded["backbone"], "template": None}
    assert PointTracker.from_pretrained(tmp_path / "raw").template is None


def test_a_deleted_template(saved: Path) -> None:
    (saved / "template.safetensors").unlink()
    with pytest.raises(UserError, match=r"tracker/template\.safetensors is missing"):
        PointTracker.from_pretrained(saved)


def test_the_template_of_another_tracker(saved: Path) -> None:
    other = fitted(tiny_tracker(), seed=1)
    other.save(saved / "template.safetensors")
    with pytest.raises(UserError, match=r"template\.safetensors belongs to another tracker"):
        PointTracker.from_pretrained(saved)


def test_a_template_where_there_was_none(saved: Path, tmp_path: Path) -> None:
    tiny_tracker().save_pretrained(tmp_path / "raw")
    (saved / "template.safetensors").rename(tmp_path / "raw" / "template.safetensors")
    with pytest.raises(UserError, match=r"template\.safetensors does not belong there"):
        PointTracker.from_pretrained(tmp_path / "raw")


def test_a_backbone_of_other_weights(saved: Path) -> None:
    save_other_backbone(saved / "backbone")
    with pytest.raises(UserError, match=r"backbone .*tracker/backbone is not the one of"):
        PointTracker.from_pretrained(saved)


def test_a_deleted_backbone(saved: Path) -> None:
    (saved / "backbone" / "config.json").unlink()
    with pytest.raises(UserError, match=r"no .*tracker/backbone/config\.json"):
        PointTracker.from_pretrained(saved)


def test_what_is_named_is_meant(saved: Path, tmp_path: Path) -> None:
    """A part that is replaced is not compared; the other one still is."""
    other = fitted(tiny_tracker(), seed=1)
    other.save(tmp_path / "other.safetensors")
    loaded = PointTracker.from_pretrained(saved, template=tmp_path / "other.safetensors")
    assert loaded.template.fingerprint() == other.fingerprint()
    foreign = str(save_other_backbone(tmp_path / "foreign"))
    changes = {"backbone": {"source": foreign}}
    # The template still is of the backbone that it was fitted with.
    with pytest.raises(UserError, match="template belongs to a backbone with weights"):
        PointTracker.from_pretrained(saved, changes)
    own = tiny_tracker(Path(foreign))
    fitted(own).save(tmp_path / "foreign.safetensors")
    both = PointTracker.from_pretrained(saved, changes, tmp_path / "foreign.safetensors")
    assert both.backbone.fingerprint() == own.backbone.fingerprint()
    save_other_backbone(saved / "backbone")
    with pytest.raises(UserError, match="is not the one of tracker"):
        PointTracker.from_pretrained(saved, template=tmp_path / "foreign.safetensors")


def test_saving_what_was_replaced_records_it(saved: Path, tmp_path: Path) -> None:
    other = fitted(tiny_tracker(), seed=1)
    other.save(tmp_path / "other.safetensors")
    loaded = PointTracker.from_pretrained(saved, template=tmp_path / "other.safetensors")
    loaded.save_pretrained(tmp_path / "again")
    again = PointTracker.from_pretrained(tmp_path / "again")
    assert again.template.fingerprint() == other.fingerprint()


def test_an_earlier_version(saved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    forget_fingerprints(saved)
    (saved / "template.safetensors").unlink()
    with caplog.at_level(logging.WARNING, "tracker"):
        loaded = PointTracker.from_pretrained(saved)
    (record,) = caplog.records
    assert "without fingerprints" in record.getMessage()
    assert "saving the tracker again adds them" in record.getMessage()
    caplog.clear()
    loaded.save_pretrained(tmp_path / "again")
    PointTracker.from_pretrained(tmp_path / "again")
    assert not caplog.records


@pytest.mark.parametrize("wrong", ["abc", {"backbone": "abc"}, {"head": "abc"}, None])
def test_fingerprints_of_another_shape(saved: Path, wrong: object) -> None:
    content = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(content | {"fingerprints": wrong}))
    with pytest.raises(UserError, match="must name backbone and template"):
        PointTracker.from_pretrained(saved)


def test_without_the_branch_that_reads_them_nothing_is_compared(tmp_path: Path) -> None:
    """Such a head runs on the frames alone."""
    head = replace(TINY_HEAD, use_vjepa=False)
    tiny_tracker(Path("nowhere"), head).save_pretrained(tmp_path / "rgb")
    content = json.loads((tmp_path / "rgb" / "config.json").read_text())
    assert content["fingerprints"] == {"backbone": None, "template": None}
    assert PointTracker.from_pretrained(tmp_path / "rgb").backbone is None
