"""OWLv2: boxes of what a text names, in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tracker.errors import log
from tracker.prompting.checkpoints import DETECTORS
from tracker.prompting.overlaps import box_overlaps, keep_best

if TYPE_CHECKING:
    from transformers import Owlv2ForObjectDetection

MOST_OVERLAP = 0.5
"""Intersection over union, above which two boxes of one prompt are taken for one thing."""

MOST_BOXES = 32
"""Boxes of one prompt that are kept in a frame."""


@dataclass(frozen=True)
class Detections:
    """What was found in one frame, the best first.

    Attributes:
        boxes: `(D, 4) float32` pixels of the frame: left, top, right and bottom.
        scores: `(D,) float32` in 0..1.
        prompts: `(D,) int64`, the number of each one's prompt.
        best: `(P,) float32`, the highest score of each prompt, high enough or not; 0 where the
            detector takes no box for it rather than for another prompt.
    """

    boxes: np.ndarray
    scores: np.ndarray
    prompts: np.ndarray
    best: np.ndarray


class Detector:
    """A frozen OWLv2.

    Args:
        model: transformers' model.
        tokenizer: of CLIP, with the checkpoint's vocabulary.
        processor: makes pictures square, as the model was trained on them.
        device: where it runs.
    """

    def __init__(
        self, model: Owlv2ForObjectDetection, tokenizer: Any, processor: Any, device: torch.device
    ) -> None:
        nn.Module.to(model, device)  # the types of transformers' own do not know devices
        self.model = model
        self.tokenizer, self.processor, self.device = tokenizer, processor, device

    @classmethod
    def load(cls, source: str, device: torch.device) -> Detector:
        """Load one from a folder or hub id.

        Raises:
            UserError: no such checkpoint, or a part of it is missing or damaged.
        """
        from transformers import (
            AutoTokenizer,
            Owlv2Config,
            Owlv2ForObjectDetection,
            Owlv2ImageProcessorPil,
        )

        content = DETECTORS.read_config(source)
        with DETECTORS.explained(source):
            config = Owlv2Config.from_dict(content)
            tokenizer = AutoTokenizer.from_pretrained(source)
            # transformers' other class for the same needs torchvision.
            processor = Owlv2ImageProcessorPil.from_pretrained(source)
        model = DETECTORS.load(Owlv2ForObjectDetection, source, config)
        return cls(model, tokenizer, processor, device)

    @torch.inference_mode()
    def detect(
        self, frames: Sequence[np.ndarray], prompts: Sequence[str], threshold: float
    ) -> list[Detections]:
        """Find what the prompts name in frames of one size, all at once.

        Args:
            frames: each `(H, W, 3) uint8`.
            prompts: what to look for.
            threshold: in 0..1; boxes whose score is not above it are left out.

        Returns:
            For each frame; of boxes of one prompt that overlap, the best alone.
        """
        size = frames[0].shape[:2]
        pixels = self.processor(list(frames), return_tensors="pt")["pixel_values"]
        tokens = self._tokens(prompts)
        output = self.model(
            input_ids=tokens["input_ids"].repeat(len(frames), 1),
            attention_mask=tokens["attention_mask"].repeat(len(frames), 1),
            pixel_values=pixels.to(self.device),
        )
        found = self.processor.post_process_object_detection(output, 0.0, [size] * len(frames))
        return [
            _chosen(
                {name: values.cpu().numpy() for name, values in result.items()},
                len(prompts),
                threshold,
                (size[1], size[0]),
            )
            for result in found
        ]

    def _tokens(self, prompts: Sequence[str]) -> Any:
        """Return token ids and their mask, each `(P, L)` with the L that the model takes."""
        config: Any = self.model.config.text_config
        longest = config.max_position_embeddings
        whole = self.tokenizer(list(prompts), verbose=False)["input_ids"]
        for prompt, ids in zip(prompts, whole, strict=True):
            if len(ids) > longest:
                log.warning(
                    "the prompt %r is longer than the detector reads (%d tokens); its end is left "
                    "out",
                    *(prompt, longest),
                )
        return self.tokenizer(
            list(prompts),
            padding="max_length",
            max_length=longest,
            truncation=True,
            return_tensors="pt",
        ).to(self.device)


def _chosen(
    found: dict[str, np.ndarray], num_prompts: int, threshold: float, size: tuple[int, int]
) -> Detections:
    """Clip boxes to a frame of `size` `(W, H)`, and keep the best of those that overlap.

    Args:
        found: `boxes`, `scores` and `labels`, the numbers of prompts, as transformers calls them.
        num_prompts: P.
        threshold: of scores.
        size: of the frame in pixels.
    """
    scores, prompts = found["scores"], found["labels"]
    # The model sees a square: boxes may lie in what was added to the frame.
    boxes = np.clip(found["boxes"], 0, [*size, *size]).astype(np.float32)
    there = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(axis=1)
    best = np.zeros(num_prompts, np.float32)
    kept: list[int] = []
    for prompt in range(num_prompts):
        mine = np.flatnonzero(there & (prompts == prompt))
        best[prompt] = scores[mine].max(initial=0)
        mine = mine[scores[mine] > threshold]
        order = keep_best(box_overlaps(boxes[mine]), scores[mine], MOST_OVERLAP)
        kept += mine[order[:MOST_BOXES]].tolist()
    kept.sort(key=lambda number: -scores[number])
    return Detections(boxes[kept], scores[kept], prompts[kept], best)
