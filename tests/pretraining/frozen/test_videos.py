"""What frozen matching is measured on."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tracker.errors import UserError
from tracker.pretraining.frozen.videos import (
    annotated,
    follow_there_and_back,
    followed_by_flow,
    named_sets,
    rendered,
)
from tracker.video.writing import write_video


def smooth_noise(side: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (side // 8, side // 8, 3), np.uint8)
    return cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)


def test_flow_knows_what_moved_and_what_left() -> None:
    wide = cv2.cvtColor(smooth_noise(320), cv2.COLOR_RGB2GRAY)
    frames = [wide[:256, 4 * t : 4 * t + 256] for t in range(6)]  # the picture moves left
    xy, visible = follow_there_and_back(frames)
    start = xy[:, :1]
    expected = start + np.array([-4.0, 0.0]) * np.arange(6)[:, None]
    assert visible.mean() > 0.7
    assert np.abs(xy - expected)[visible].max() < 1.5
    left_early = expected[:, -1, 0] < 0
    assert left_early.any() and not visible[left_early, -1].any()
    assert (visible[:, 1:] <= visible[:, :-1]).all()


def test_flow_does_not_believe_noise() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (256, 256), np.uint8) for _ in range(3)]
    assert follow_there_and_back(frames)[1][:, 1:].mean() < 0.2


def test_smooth_places_are_left_out() -> None:
    frame = np.full((256, 256), 128, np.uint8)
    frame[:, 128:] = cv2.cvtColor(smooth_noise(256), cv2.COLOR_RGB2GRAY)[:, 128:]
    xy, _ = follow_there_and_back([frame, frame])
    assert len(xy) > 50 and xy[:, 0, 0].min() > 100


def test_videos_of_a_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture = smooth_noise(160)
    picture = (picture // 128 * 255).astype(np.uint8)  # strong edges
    frames = np.stack([np.roll(picture, -2 * t, axis=1)[:96, :128] for t in range(12)])
    write_video(tmp_path / "one.mp4", frames, fps=10)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "._one.mp4").write_bytes(b"no video")
    with caplog.at_level(logging.WARNING, "tracker"):
        (video,) = followed_by_flow(tmp_path, frames=5, stride=2)
    (record,) = caplog.records
    assert "skipped" in record.getMessage() and "broken.mp4" in record.getMessage()
    assert video.frames.shape == (5, 3, 96, 128) and video.frames.dtype == torch.uint8
    assert video.xy.shape[1:] == (5, 2) and (video.query == 0).all()
    way = (video.xy[:, 4] - video.xy[:, 0])[video.visible[:, 4]]
    assert way[:, 0].median() == pytest.approx(-16 / 128, abs=0.02)


def test_annotated_and_rendered(benchmark_file: Path) -> None:
    one, two, still = annotated(benchmark_file)
    assert one.frames.shape[0] == one.visible.shape[1] == 10
    assert one.visible.gather(1, one.query[:, None]).all()
    assert torch.equal(still.xy[:, 0], still.xy[:, -1]) and len(two.query) == 4
    (scene,) = rendered(1, frames=3, points=5)
    assert scene.frames.shape == (3, 3, 256, 256) and scene.xy.shape == (5, 3, 2)


def test_nothing_to_measure_on(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give --tapvid, --videos or --scenes"):
        list(named_sets(None, 0, None))
    with pytest.raises(UserError, match="nowhere does not exist"):
        followed_by_flow(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no videos"):
        followed_by_flow(tmp_path)
