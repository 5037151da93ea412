"""Crops that the teacher sees as the backbone does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tracker.errors import UserError
from tracker.pretraining.distill.config import CropConfig
from tracker.pretraining.distill.fresh import FrameStore, FreshBatches
from tracker.pretraining.distill.sources import Source, find_sources
from tracker.pretraining.distill.views import ViewConfig
from tracker.video.writing import write_video

CROPS = CropConfig(sizes=(32, 64), slots=(1, 2), tokens=64, videos=0.5, colour=0.1, noise=0)
VIEWS = ViewConfig(zoom=(0.8, 1.2), aspect=(1.0, 1.0))


class MeanColour:
    """A teacher whose cells are mean colours; those of a lagging one lie `lag` pixels off."""

    name, channels, stride = "mean-colour", 3, 8

    def __init__(self, lag: int = 0) -> None:
        self.lag = float(lag)

    def __call__(self, pictures: Tensor) -> Tensor:
        lag = int(self.lag)
        moved = F.pad(pictures, (lag, 0, lag, 0), mode="replicate") if lag else pictures
        height, width = pictures.shape[-2:]
        return F.avg_pool2d(moved[..., :height, :width], self.stride)

    def fingerprint(self) -> str:
        return "mean"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    root = tmp_path_factory.mktemp("sources")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (12, 15, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(pixels).save(root / "one.png")
    moving = np.stack([np.roll(pixels, 4 * t, axis=1) for t in range(10)])
    write_video(root / "one.mp4", moving, fps=10)
    return find_sources(root, [root])[0]


def batches_of(sources: list[Source], teacher: MeanColour, **changes: object) -> FreshBatches:
    return FreshBatches(sources, teacher, replace(CROPS, **changes), VIEWS, 16, 2)


def test_targets_are_what_the_tokens_show(sources: list[Source]) -> None:
    batches, shapes, moving = batches_of(sources, MeanColour()), set(), 0
    for first in range(0, 200, 10):
        batch = batches.batch(list(range(first, first + 10)))
        count, length, _, side, _ = batch.video.shape
        assert count == min(10, 64 // ((length // 2) * (side // 16) ** 2))
        shown = F.avg_pool2d(batch.video.unflatten(1, (-1, 2)).mean(2).flatten(0, 1), 16)
        expected = shown.unflatten(0, (count, -1)).permute(0, 1, 3, 4, 2).flatten(1, 3)
        torch.testing.assert_close(batch.targets, expected, atol=0.06, rtol=0)
        assert (batch.weights == 1).all()
        shapes.add((length, side))
        moving += int((batch.video[:, 0] - batch.video[:, 1]).abs().mean() > 0.01)
    assert len(shapes) == 4 and 0 < moving < 20


def test_a_lagging_teacher_is_read_where_it_has_things(sources: list[Source]) -> None:
    numbers = list(range(6))
    straight = batches_of(sources, MeanColour(), sizes=(64,), slots=(1,)).batch(numbers)
    lagging = batches_of(sources, MeanColour(lag=8), sizes=(64,), slots=(1,)).batch(numbers)
    unaware = MeanColour(lag=8)
    batches = batches_of(sources, unaware, sizes=(64,), slots=(1,))
    batches._lag = 0.0
    as_it_is = batches.batch(numbers)
    inner = torch.arange(16).reshape(4, 4)[:3, :3].flatten()
    torch.testing.assert_close(lagging.targets[:, inner], straight.targets[:, inner])
    assert (as_it_is.targets - straight.targets)[:, inner].abs().mean() > 0.02


def test_same_numbers_same_batch(sources: list[Source]) -> None:
    one, two = (batches_of(sources, MeanColour()) for _ in range(2))
    two.batch([5, 6])  # what was drawn before does not matter
    for numbers in ([1, 2, 3], [40, 41]):
        first, second = one.batch(numbers), two.batch(numbers)
        assert torch.equal(first.video, second.video)
        assert torch.equal(first.targets, second.targets)


def test_photographs_alone_have_one_slot(sources: list[Source]) -> None:
    batches = batches_of(sources[:1], MeanColour(), slots=(4,))
    batch = batches.batch([0, 1])
    assert batch.video.shape[1] == 2 and torch.equal(batch.video[:, 0], batch.video[:, 1])
    mean, std = batches.statistics()
    assert ((mean > 0.2) & (mean < 0.8)).all() and ((std > 0.02) & (std < 0.5)).all()


def test_frames_stay_in_memory_as_far_as_they_fit(
    sources: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    pixels = Source.pixels

    def count(self: Source, first: int, frames: int) -> np.ndarray:
        reads.append(self.kind)
        return pixels(self, first, frames)

    monkeypatch.setattr(Source, "pixels", count)
    store = FrameStore(limit_gb=1e-4)  # one photograph of 96x120 takes 35 kB, the video 350
    for _ in range(2):
        for source in sources:
            assert store.frames(source).shape == (source.length, 96, 120, 3)
    assert reads == ["photograph", "video", "video"]


def test_what_does_not_fit(sources: list[Source], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="40 is not a multiple of 16"):
        batches_of(sources, MeanColour(), sizes=(40,))
    coarse = replace(VIEWS, teacher_scale=0.25)
    with pytest.raises(UserError, match="smaller than the backbone's grid of 2 tokens"):
        FreshBatches(sources, MeanColour(), CROPS, coarse, 16, 2)
