"""Teachers: which are known, the shape of their maps, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from tiny_models import save_tiny_backbone
from tiny_teachers import FAMILIES, save_tiny_teacher

from tracker.errors import UserError
from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.pretraining.distill.teachers import open_teacher


@pytest.mark.parametrize("family", FAMILIES)
def test_families_of_patches(family: str, tmp_path: Path) -> None:
    """Whatever the family: a map of the picture's shape, at sizes it was not made for."""
    teacher = open_teacher(str(save_tiny_teacher(family, tmp_path)))
    pictures = torch.rand(2, 3, 2 * teacher.stride, 3 * teacher.stride)
    maps = teacher(pictures)
    assert maps.shape == (2, teacher.channels, 2, 3)
    assert torch.isfinite(maps).all() and not torch.allclose(maps[0], maps[1])
    first = open_teacher(str(tmp_path), layer=1)
    assert not torch.allclose(first(pictures), maps)
    assert first.fingerprint() != teacher.fingerprint()


def test_places_are_in_order(tmp_path: Path) -> None:
    """What changes at one place changes its own cell the most; no class token is among them."""
    teacher = open_teacher(str(save_tiny_teacher("dinov2", tmp_path)))
    pictures = torch.full((1, 3, 4 * teacher.stride, 4 * teacher.stride), 0.5)
    changed = pictures.clone()
    box = slice(2 * teacher.stride, 3 * teacher.stride)
    changed[..., box, teacher.stride : 2 * teacher.stride] = 1
    difference = (teacher(changed) - teacher(pictures)).norm(dim=1)[0]
    assert divmod(int(difference.argmax()), 4) == (2, 1)


def test_vjepa_sees_a_still_tubelet(tmp_path: Path) -> None:
    teacher = open_teacher(str(save_tiny_backbone(tmp_path)))
    pictures = torch.rand(2, 3, 64, 96)
    backbone = FrozenBackbone(BackboneConfig(str(tmp_path), (2,), (64, 96), 2))
    expected = backbone(pictures[:, None].expand(-1, 2, -1, -1, -1)).features[:, 0, 0]
    torch.testing.assert_close(teacher(pictures), expected)


def test_efficientnet() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    teacher = open_teacher("efficientnet-lite2")
    maps = teacher(torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)))
    assert maps.shape == (2, 120, 4, 6)
    assert maps.std() > 1  # trained weights, not those of a new network
    with pytest.raises(UserError, match=r"8\.\.15"):
        open_teacher("efficientnet-lite2", layer=16)


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(UserError, match=r"pip install 'vjepa-tracker\[distill\]'"):
        open_teacher("efficientnet-lite2")


def test_what_is_no_teacher(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        open_teacher(str(tmp_path))
    folder = save_tiny_teacher("vit", tmp_path / "vit")
    with pytest.raises(UserError, match=r"has layers 1\.\.2"):
        open_teacher(str(folder), layer=3)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="cannot be loaded"):
        open_teacher(str(folder))
