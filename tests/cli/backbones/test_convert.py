"""`vjepa-tracker convert-backbone`: a folder with the same features, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from meta_files import save_meta_20, save_meta_21
from tiny_models import tiny_encoder
from transformers import VJEPA2Model

from tracker.cli.backbones.convert import main
from tracker.features.backbone import BackboneConfig, FrozenBackbone


def test_a_v_jepa_2_1(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file, folder = save_meta_21(tmp_path / "vjepa2_1_vitb_384.pt"), tmp_path / "b"
    assert main([str(file), str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "vjepa2_1 of 12 layers and 128 channels" in printed
    assert "backbone.layers=[3, 6, 9, 12]" in printed
    video = torch.rand(1, 4, 3, 48, 64)
    read, converted = (
        FrozenBackbone(BackboneConfig(str(source), (3, 12), (48, 64), 4))(video).features
        for source in (file, folder)
    )
    assert torch.equal(read, converted)


def test_a_v_jepa_2_0(tmp_path: Path) -> None:
    model = tiny_encoder(num_attention_heads=1)
    file = save_meta_20(tmp_path / "vitl.pt", model)
    assert main([str(file), str(tmp_path / "l")]) == 0
    plain = VJEPA2Model.from_pretrained(tmp_path / "l")
    assert torch.equal(plain.encoder.layernorm.weight, model.encoder.layernorm.weight)


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing.pt", "no such file"), ("folder", "ends in .pt or"), ("text.pt", "text.pt is not")],
)
def test_refused_in_one_line_with_nothing_written(
    name: str, message: str, tmp_path: Path, run_cli: Callable
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.pt").write_text("text")
    outcome = run_cli("convert-backbone", tmp_path / name, tmp_path / "out")
    assert outcome.code == 2
    assert message in outcome.err and outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path, run_cli: Callable) -> None:
    file = save_meta_21(tmp_path / "b.pt")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("{}")
    outcome = run_cli("convert-backbone", file, tmp_path / "out")
    assert outcome.code == 2 and "already" in outcome.err
