"""A tiny SAM 2: masks are those of transformers, in batches of frames and boxes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from tracker.errors import UserError
from tracker.prompting import segmenter as module
from tracker.prompting.segmenter import Segmenter

CPU = torch.device("cpu")
BOXES = np.array([[10, 5, 40, 30], [0, 0, 96, 80], [50, 40, 90, 79]], np.float32)


@pytest.fixture(scope="module")
def segmenter(sam2: Path) -> Segmenter:
    return Segmenter.load(str(sam2), CPU)


@pytest.fixture(scope="module")
def frames(make_frames: Callable) -> list[np.ndarray]:
    return list(make_frames(3, (96, 80)))


def test_masks_are_those_of_transformers(segmenter: Segmenter, frames: list[np.ndarray]) -> None:
    (found,) = segmenter.segment(frames[:1], [BOXES])
    picture = torch.from_numpy(frames[0]).permute(2, 0, 1)[None].float() / 255
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    pixels = (F.interpolate(picture, (64, 64), mode="bilinear", antialias=True) - mean) / std
    boxes = torch.from_numpy(BOXES) * torch.tensor([64 / 96, 64 / 80] * 2)
    with torch.no_grad():
        output = segmenter.model(
            pixel_values=pixels, input_boxes=boxes[None], multimask_output=False
        )
    logits = F.interpolate(output.pred_masks[0], (80, 96), mode="bilinear")[:, 0]
    assert found.shape == (3, 80, 96) and 0 < found.mean() < 1
    # Sums in another order may move a pixel whose logit is 0.
    sure = logits.abs() > 1e-4
    np.testing.assert_array_equal(found[sure.numpy()], (logits > 0)[sure].numpy())


def test_frames_may_have_any_number_of_boxes(
    segmenter: Segmenter, frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BOXES", 2)
    given = [BOXES, BOXES[:0], BOXES[1:2]]
    together = segmenter.segment(frames, given)
    assert [masks.shape for masks in together] == [(n, 80, 96) for n in (3, 0, 1)]
    assert together[1].dtype == bool
    for frame, boxes, masks in zip(frames, given, together, strict=True):
        (alone,) = segmenter.segment([frame], [boxes])
        assert alone.size == 0 or (alone == masks).mean() > 0.999


def test_colours_are_normalised_as_the_checkpoint_says(sam2: Path, tmp_path: Path) -> None:
    shutil.copytree(sam2, tmp_path / "copy")
    settings = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
    (tmp_path / "copy" / "preprocessor_config.json").write_text(json.dumps(settings))
    pixels = Segmenter.load(str(tmp_path / "copy"), CPU)._pixels(
        [np.full((8, 9, 3), 255, np.uint8)]
    )
    torch.testing.assert_close(pixels, torch.full((1, 3, 64, 64), 2.0))


def test_a_checkpoint_for_videos_is_read_for_pictures(sam2_video: Path) -> None:
    read = Segmenter.load(str(sam2_video), CPU).model.state_dict()
    saved = load_file(sam2_video / "model.safetensors")
    shared = saved.keys() & read.keys()
    assert any(name.startswith("vision_encoder") for name in shared)
    assert any(name.startswith("mask_decoder") for name in shared)
    assert all(torch.equal(read[name], saved[name]) for name in shared)


def test_another_kind_of_model_is_refused(owlv2: Path, sam2: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"segmenter .*is a checkpoint of owlv2, not of SAM 2"):
        Segmenter.load(str(owlv2), CPU)
    shutil.copytree(sam2, tmp_path / "copy")
    config = json.loads((tmp_path / "copy" / "config.json").read_text())
    config.pop("mask_decoder_config")
    (tmp_path / "copy" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"segmenter .*copy.* cannot be loaded .*mask_decoder"):
        Segmenter.load(str(tmp_path / "copy"), CPU)
