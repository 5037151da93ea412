"""A tiny OWLv2: batches, thresholds, boxes inside the frame, and checkpoints that are none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tracker.errors import UserError
from tracker.prompting.detector import MOST_BOXES, Detector
from tracker.prompting.overlaps import box_overlaps

CPU = torch.device("cpu")
PROMPTS = ["a cat", "dog"]


@pytest.fixture(scope="module")
def detector(owlv2: Path) -> Detector:
    return Detector.load(str(owlv2), CPU)


@pytest.fixture(scope="module")
def frames(make_frames: Callable) -> list[np.ndarray]:
    return list(make_frames(3, (96, 80)))


def test_a_batch_finds_what_single_frames_do(detector: Detector, frames: list[np.ndarray]) -> None:
    together = detector.detect(frames, PROMPTS, 0.0)
    assert len(together) == 3
    for frame, found in zip(frames, together, strict=True):
        (alone,) = detector.detect([frame], PROMPTS, 0.0)
        np.testing.assert_allclose(alone.scores, found.scores, atol=1e-5)
        np.testing.assert_allclose(alone.boxes, found.boxes, atol=1e-3)
        assert alone.prompts.tolist() == found.prompts.tolist()


def test_boxes_are_those_of_transformers_own_way(
    detector: Detector, frames: list[np.ndarray]
) -> None:
    (found,) = detector.detect(frames[:1], PROMPTS, 0.0)
    tokens = detector.tokenizer(PROMPTS, padding="max_length", max_length=16, return_tensors="pt")
    pixels = detector.processor(frames[0], return_tensors="pt")
    with torch.no_grad():
        output = detector.model(**tokens, **pixels)
    (expected,) = detector.processor.post_process_object_detection(output, 0.0, [(80, 96)])
    best = int(expected["scores"].argmax())
    clipped = expected["boxes"][best].clamp(min=0).minimum(torch.tensor([96, 80, 96, 80]))
    np.testing.assert_allclose(found.boxes[0], clipped, atol=1e-4)
    assert found.scores[0] == pytest.approx(float(expected["scores"][best]), abs=1e-5)
    assert found.prompts[0] == expected["labels"][best]


def test_boxes_lie_in_the_frame_above_the_threshold_and_apart(
    detector: Detector, frames: list[np.ndarray]
) -> None:
    (everything,) = detector.detect(frames[:1], PROMPTS, 0.0)
    threshold = float(np.median(everything.scores))
    (found,) = detector.detect(frames[:1], PROMPTS, threshold)
    assert 0 < len(found.boxes) < len(everything.boxes) <= 2 * MOST_BOXES
    assert (found.scores > threshold).all() and (np.diff(found.scores) <= 0).all()
    left, top, right, bottom = everything.boxes.T
    assert (left >= 0).all() and (top >= 0).all() and (right <= 96).all() and (bottom <= 80).all()
    assert (right - left >= 1).all() and (bottom - top >= 1).all()
    for prompt in range(2):
        mine = everything.boxes[everything.prompts == prompt]
        assert (box_overlaps(mine) - np.eye(len(mine)) <= 0.5).all()
    assert found.best.tolist() == everything.best.tolist()
    assert found.best.max() == everything.scores.max()


def test_a_long_prompt_is_cut_with_a_warning(
    detector: Detector, frames: list[np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    detector.detect(frames[:1], ["a cat"], 0.0)
    assert not caplog.records
    detector.detect(frames[:1], ["a cat that nobody has ever seen before"], 0.0)
    assert "longer than the detector reads (16 tokens)" in caplog.text


class TestRefusals:
    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"no .*config\.json; name a folder or hub id of OWLv2"):
            Detector.load(str(tmp_path / "none"), CPU)

    def test_another_kind_of_model(self, sam2: Path) -> None:
        with pytest.raises(UserError, match="is a checkpoint of sam2, not of OWLv2"):
            Detector.load(str(sam2), CPU)

    def test_unknown_hub_id(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(UserError, match=r"no-such/model.*neither a folder nor a hub id"):
            Detector.load("no-such/model", CPU)

    @pytest.mark.parametrize("file", ["preprocessor_config.json", "vocab.json"])
    def test_a_part_is_missing(self, owlv2: Path, tmp_path: Path, file: str) -> None:
        shutil.copytree(owlv2, tmp_path / "copy")
        (tmp_path / "copy" / file).unlink()
        with pytest.raises(UserError, match=r"detector .*copy.* cannot be loaded"):
            Detector.load(str(tmp_path / "copy"), CPU)

    def test_weights_are_missing(self, owlv2: Path, tmp_path: Path) -> None:
        shutil.copytree(owlv2, tmp_path / "copy")
        weights = load_file(tmp_path / "copy" / "model.safetensors")
        weights.pop("box_head.dense2.bias")
        save_file(weights, tmp_path / "copy" / "model.safetensors", {"format": "pt"})
        with pytest.raises(UserError, match=r"lacks 1 weights \(box_head\.dense2\.bias"):
            Detector.load(str(tmp_path / "copy"), CPU)
