"""Crops and batches: pictures and targets that belong together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Generator, Tensor

from tracker.errors import UserError
from tracker.pretraining.distill.batches import DistillBatches
from tracker.pretraining.distill.config import CropConfig, DistillConfig
from tracker.pretraining.distill.crops import CropDrawer
from tracker.pretraining.distill.teacher_maps import StoredView
from tracker.pretraining.jepa.masks import MaskConfig

PLAIN = CropConfig(sizes=(32,), slots=(1,), videos=0, motion=0, colour=0, noise=0)


def stored_view(folder: Path, kind: str, frames: int, scale: int = 2, side: int = 96) -> StoredView:
    """A view whose maps are its own mean colours, `scale` cells for 16 pixels."""
    random = Generator().manual_seed(len(kind))
    cells = side * scale // 16
    coarse = torch.rand(frames, 3, cells, cells, generator=random)
    pictures = F.interpolate(coarse, (side, side), mode="nearest")
    file = folder / f"{kind}.safetensors"
    save_file({"pictures0": (pictures * 255).byte(), "maps0": coarse.half()}, file)
    return StoredView(file, 0, kind, frames, (side, side), (cells, cells))


@pytest.fixture
def views(tmp_path: Path) -> list[StoredView]:
    return [stored_view(tmp_path, "photograph", 1), stored_view(tmp_path, "video", 12)]


def under_tokens(video: Tensor) -> Tensor:
    """What the targets have to be: mean colours of each tubelet's tokens."""
    return F.avg_pool2d(video.unflatten(0, (-1, 2)).mean(1), 16)


@pytest.mark.parametrize("videos", [0, 1], ids=["photograph", "video"])
@pytest.mark.parametrize("slots", [1, 3])
def test_targets_are_what_the_tokens_show(views: list[StoredView], videos: int, slots: int) -> None:
    drawer = CropDrawer(views, replace(PLAIN, videos=videos, motion=0.05), 16, 2)
    seen = []
    for seed in range(8):
        crop = drawer.draw(32, slots, Generator().manual_seed(seed))
        assert crop.video.shape == (2 * slots, 3, 32, 32)
        assert crop.weights.shape == (slots, 2, 2) and (crop.weights == 1).all()
        torch.testing.assert_close(crop.targets, under_tokens(crop.video), atol=5e-3, rtol=0)
        seen.append(crop)
    assert not torch.allclose(seen[0].video, seen[1].video)
    moving = [c for c in seen if not torch.equal(c.video[0], c.video[-1])]
    assert 2 <= len(moving) < 8 if slots == 1 or not videos else len(moving) == 8


def test_lag_moves_targets(views: list[StoredView]) -> None:
    """A teacher whose cells describe what lies one cell up and left is read one further."""
    plain = CropDrawer(views, PLAIN, 16, 2).draw(32, 1, Generator().manual_seed(3))
    shifted = CropDrawer(views, PLAIN, 16, 2, lag=2.0).draw(32, 1, Generator().manual_seed(3))
    torch.testing.assert_close(shifted.targets[0, :, 0, 0], plain.targets[0, :, 1, 1])


def test_colours_change_and_targets_do_not(views: list[StoredView]) -> None:
    loud = replace(PLAIN, colour=0.3, noise=0.1)
    crop, plain = (
        CropDrawer(views, c, 16, 2).draw(32, 1, Generator().manual_seed(1)) for c in (loud, PLAIN)
    )
    assert torch.equal(crop.targets, plain.targets)
    assert (crop.video - plain.video).abs().mean() > 0.02
    assert crop.video.min() >= 0 and crop.video.max() <= 1


def test_covered_tokens(tmp_path: Path) -> None:
    """Features are mixed as pixels are, and tokens of both layers count less."""
    view = stored_view(tmp_path, "photograph", 1)
    drawer = CropDrawer([view], replace(PLAIN, covers=1.0), 16, 2)
    weights = []
    for seed in range(6):
        crop = drawer.draw(32, 2, Generator().manual_seed(seed))
        weights.append(crop.weights)
        certain = crop.weights > 0.95
        difference = (crop.targets - under_tokens(crop.video)).abs().amax(1)
        assert (difference[certain] < 0.1).all()
    everything = torch.cat(weights)
    assert everything.min() < 0.5 and everything.min() >= 0 and everything.max() <= 1


def test_batches_have_tokens_to_spend(views: list[StoredView]) -> None:
    config = replace(PLAIN, sizes=(32, 64), slots=(1, 2), tokens=64, videos=0.5)
    batches = DistillBatches(CropDrawer(views, config, 16, 2), config, [], 16)
    shapes = set()
    for first in range(0, 400, 10):
        batch = batches.batch(list(range(first, first + 10)))
        count, tokens, channels = batch.targets.shape
        assert (channels, batch.masks) == (3, ())
        assert tokens == batch.video.shape[1] // 2 * (batch.video.shape[-1] // 16) ** 2
        assert count == min(10, 64 // tokens) and batch.weights.shape == (count, tokens)
        shapes.add(batch.video.shape[1:])
    assert len(shapes) == 4
    again, other = batches.batch([7, 8]), batches.batch([7, 8])
    assert torch.equal(again.video, other.video) and torch.equal(again.targets, other.targets)


def test_masks_of_a_batch(views: list[StoredView]) -> None:
    config = replace(PLAIN, sizes=(64,), slots=(2,))
    kinds = [MaskConfig(1, 0.5), MaskConfig(2, 0.2)]
    batch = DistillBatches(CropDrawer(views, config, 16, 2), config, kinds, 16).batch([0, 1, 2])
    for masks in batch.masks:
        together = torch.cat([masks.context, masks.target], 1).sort(1).values
        assert len(together) == 3 and (together.diff(dim=1) > 0).all()


def test_what_does_not_fit(views: list[StoredView], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="24 is not a multiple of 16"):
        CropDrawer(views, replace(PLAIN, sizes=(24,)), 16, 2)
    with pytest.raises(UserError, match="no view has sides of 128"):
        CropDrawer(views, replace(PLAIN, sizes=(128,)), 16, 2)
    (tmp_path / "coarse").mkdir()
    coarse = stored_view(tmp_path / "coarse", "photograph", 1)
    with pytest.raises(UserError, match="smaller than the backbone's grid of 6x6"):
        CropDrawer([replace(coarse, cells=(3, 6))], PLAIN, 16, 2)
    drawer = CropDrawer([coarse], PLAIN, 16, 2)
    coarse.file.write_bytes(b"gone")
    with pytest.raises(UserError, match="damaged while in use"):
        drawer.draw(32, 1, Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (CropConfig, {"sizes": ()}),
        (CropConfig, {"slots": (0,)}),
        (CropConfig, {"videos": 2}),
        (CropConfig, {"noise": -1}),
        (CropConfig, {"tokens": 0}),
        (DistillConfig, {"loss": "l7"}),
        (DistillConfig, {"masked_weight": 0}),
    ],
    ids=str,
)
def test_settings_that_mean_nothing(kind: type, changes: dict) -> None:
    with pytest.raises(UserError, match=next(iter(changes))):
        kind(**changes)
