"""Batches for pretraining: clips, masks, and mixtures of sources."""

from __future__ import annotations

import pytest
import torch
from numbered_clips import NumberedClips
from shipped_masks import LONG_RANGE, SHORT_RANGE

from tracker.datasets.clips import ClipSource
from tracker.errors import UserError
from tracker.pretraining.jepa.batches import JepaBatches, MixedClips


class TestBatches:
    def test_depend_on_numbers_alone(self) -> None:
        batches = JepaBatches(NumberedClips(), (SHORT_RANGE, LONG_RANGE), 16, 2)
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
        batch = JepaBatches(NumberedClips(fails=range(3, 4)), (), 16, 2).batch([2, 3])
        assert batch.video.shape[0] == 2 and batch.unreadable == ["clip 3 is damaged"]

    def test_mixture(self) -> None:
        sources: dict[str, ClipSource] = {"a": NumberedClips(), "b": NumberedClips(6)}
        only = MixedClips(4, (64, 64), sources, {"a": 1.0, "b": 0.0})
        assert all(only.clip(i).shape[0] == 4 for i in range(20))
        both = MixedClips(4, (64, 64), sources, {"a": 1.0, "b": 1.0})
        with pytest.raises(UserError, match=r"data\.sources\.b gives clips of shape"):
            for index in range(20):
                both.clip(index)
        with pytest.raises(UserError, match="names"):
            MixedClips(4, (64, 64), sources, {"a": 1.0})
