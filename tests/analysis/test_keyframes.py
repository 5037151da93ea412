"""Importance and key frames against planted ones, and the fallback without features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from analysis_fixtures import flashing_video
from torch import Generator

from tracker.analysis import keyframes
from tracker.analysis.keyframes import (
    frame_importance,
    query_frames,
    select_keyframes,
    uniform_keyframes,
    video_keyframes,
)
from tracker.errors import UserError
from tracker.video.video import Video

SLOTS = torch.arange(16) // 2


def test_a_planted_frame_is_the_most_important() -> None:
    features = torch.randn(3, 1, 16, 2, 2, generator=Generator().manual_seed(0)).repeat(
        1, 8, 1, 1, 1
    )
    features[0, 5] += 3
    features[1, 2] += 1
    importance = frame_importance(features)
    torch.testing.assert_close(importance.sum(1), torch.ones(3))
    # Among 8 slots of which one differs by d, that one lies 7d/8 from the mean, each other d/8.
    torch.testing.assert_close(importance[0], torch.full((8,), 1 / 14).index_fill(0, _at(5), 0.5))
    torch.testing.assert_close(importance[1, 2], torch.tensor(0.5))
    torch.testing.assert_close(importance[2], torch.full((8,), 1 / 8))
    assert select_keyframes(importance, SLOTS, 1)[:2].tolist() == [[10], [4]]


def _at(place: int) -> torch.Tensor:
    return torch.tensor([place])


def test_key_frames_are_in_temporal_order_and_apart() -> None:
    importance = torch.tensor([[0.0, 0.3, 0.29, 0.0, 0.01, 0.0, 0.4, 0.0]])
    assert select_keyframes(importance, SLOTS, 2).tolist() == [[2, 12]]
    # Slot 2 starts 2 frames after slot 1; with k = 3 that is as near as allowed, with k = 2 not.
    assert select_keyframes(importance, SLOTS, 3).tolist() == [[2, 4, 12]]
    assert select_keyframes(importance[:, [6, 7, 2, 1, 3, 4, 5, 0]], SLOTS, 2).tolist() == [[0, 6]]


@pytest.mark.parametrize("k", range(1, 17))
def test_any_number_of_key_frames_can_be_had(k: int) -> None:
    importance = torch.rand(5, 8, generator=Generator().manual_seed(k)) / 8
    chosen = select_keyframes(importance, SLOTS, k)
    assert chosen.shape == (5, k)
    assert (chosen.diff(dim=1) >= max(1, 16 // (2 * k))).all()
    if k <= 4:
        assert (chosen % 2 == 0).all()


def test_uniform_frames() -> None:
    assert uniform_keyframes(16, 4) == [2, 6, 10, 14]
    assert uniform_keyframes(3, 3) == [0, 1, 2]
    assert uniform_keyframes(1, 1) == [0]


@pytest.mark.parametrize("k", [0, 17])
def test_more_frames_than_there_are_is_refused(k: int) -> None:
    with pytest.raises(UserError, match=f"{k} key frames of 16"):
        uniform_keyframes(16, k)
    with pytest.raises(UserError, match=f"{k} key frames of 16"):
        select_keyframes(torch.ones(1, 8), SLOTS, k)


def test_a_flash_in_a_video_is_found(open_features: Callable) -> None:
    features = open_features(template="none")
    assert video_keyframes(features, flashing_video(16, 10), 1).numbers == [10]


def test_a_long_video_is_thinned(open_features: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyframes, "MAX_FRAMES", 8)
    video = np.zeros((24, 32, 32, 3), np.uint8)
    video[12:18] = 255
    video[:, :16] = 90
    found = video_keyframes(open_features(template="none"), Video.from_array(video), 1)
    assert found.times == list(range(0, 24, 3))
    assert found.numbers == [12]


def test_query_frames_fall_back_to_uniform_ones(tmp_path: Path) -> None:
    found = query_frames(flashing_video(16, 10), str(tmp_path / "nowhere"))
    assert found.numbers == [2, 6, 10, 14] and "nowhere" in found.fallback
