"""Batches for pretraining: clips, masks, and mixtures of sources."""

from __future__ import annotations

import pytest
import torch
from shipped_masks import LONG_RANGE, SHORT_RANGE

from tracker.data.clips import ClipSource
from tracker.errors import UserError
from tracker.jepa.batches import JepaBatches, MixedClips


class Numbers:
    """Clips of one value, the last digit of their number; some cannot be read."""

    def __init__(self, length: int = 4, fails: range = range(0)) -> None:
        self._length, self._fails = length, fails

    def clip(self, index: int) -> torch.Tensor:
        if index in self._fails:
            raise UserError(f"clip {index} is damaged")
        return torch.full((self._length, 3, 64, 64), index % 10 / 10)


class TestBatches:
    def test_depend_on_numbers_alone(self) -> None:
        batches = JepaBatches(Numbers(), (SHORT_RANGE, LONG_RANGE), 16, 2)
        first, again, other = (batches.batch(n) for n in ([3, 4], [3, 4], [5, 6]))
        assert first.video[:, 0, 0, 0, 0].tolist() == pytest.approx([0.3, 0.4])
        assert len(first.masks) == 2 and not first.unreadable
        for mask, same in zip(first.masks, again.masks, strict=True):
            assert torch.equal(mask.context, same.context)
        assert not all(
            a.context.shape == b.context.shape and torch.equal(a.context, b.context)
            for a, b in zip(first.masks, other.masks, strict=True)
        )

    def test_unreadable_clips_are_replaced_and_told(self) -> None:
        batch = JepaBatches(Numbers(fails=range(3, 4)), (), 16, 2).batch([2, 3])
        assert batch.video.shape[0] == 2 and batch.unreadable == ["clip 3 is damaged"]

    def test_mixture(self) -> None:
        sources: dict[str, ClipSource] = {"a": Numbers(), "b": Numbers(6)}
        only = MixedClips(4, (64, 64), sources, {"a": 1.0, "b": 0.0})
        assert all(only.clip(i).shape[0] == 4 for i in range(20))
        both = MixedClips(4, (64, 64), sources, {"a": 1.0, "b": 1.0})
        with pytest.raises(UserError, match=r"data\.sources\.b gives clips of shape"):
            for index in range(20):
                both.clip(index)
        with pytest.raises(UserError, match="names"):
            MixedClips(4, (64, 64), sources, {"a": 1.0})
