"""SAM 2: masks of what boxes hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tracker.features.images.encoders import mean_and_std
from tracker.prompting.checkpoints import SEGMENTERS
from tracker.video.pixels import shrink_frames

if TYPE_CHECKING:
    from transformers import Sam2Model

BOXES = 32
"""Boxes that masks are made of at once."""


class Segmenter:
    """A frozen SAM 2.

    Args:
        model: transformers' model for pictures.
        mean: of the pixels' colours that it was trained on, `(3, 1, 1)` in 0..1.
        std: their deviation.
        device: where it runs.
    """

    def __init__(self, model: Sam2Model, mean: Tensor, std: Tensor, device: torch.device) -> None:
        nn.Module.to(model, device)  # the types of transformers' own do not know devices
        self.model, self.device = model, device
        self._mean, self._std = mean.to(device), std.to(device)

    @classmethod
    def load(cls, source: str, device: torch.device) -> Segmenter:
        """Load one from a folder or hub id.

        Raises:
            UserError: no such checkpoint, or a part of it is missing or damaged.
        """
        from transformers import Sam2Config, Sam2Model

        content = SEGMENTERS.read_config(source)
        parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
        with SEGMENTERS.explained(source):
            # What a checkpoint for videos says besides is about memory, which pictures need not.
            config = Sam2Config(**{name: content[name] for name in parts})
        model = SEGMENTERS.load(Sam2Model, source, config)
        return cls(model, *mean_and_std(source), device)

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width that frames are stretched to, in pixels."""
        config: Any = self.model.config.prompt_encoder_config
        side = config.image_size
        return (side, side) if isinstance(side, int) else (side[0], side[1])

    @torch.inference_mode()
    def segment(
        self, frames: Sequence[np.ndarray], boxes: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Return a mask for each box, of frames of one size.

        Args:
            frames: each `(H, W, 3) uint8`; all are encoded at once.
            boxes: of each frame, `(D, 4)` pixels: left, top, right and bottom.

        Returns:
            For each frame `(D, H, W) bool`; a mask may be empty.
        """
        levels = self.model.get_image_embeddings(self._pixels(frames))
        height, width = frames[0].shape[:2]
        rows, columns = self.input_size
        scale = torch.tensor([columns / width, rows / height] * 2, device=self.device)
        masks = []
        for number, of_frame in enumerate(boxes):
            embeddings = [level[number : number + 1] for level in levels]
            scaled = torch.from_numpy(of_frame).to(self.device) * scale
            parts = [
                self._masks(embeddings, part, (height, width))
                for part in scaled.split(BOXES)
                if len(part)
            ]
            masks.append(np.concatenate([np.empty((0, height, width), bool), *parts]))
        return masks

    def _masks(self, embeddings: list[Tensor], boxes: Tensor, size: tuple[int, int]) -> np.ndarray:
        output = self.model(
            image_embeddings=embeddings, input_boxes=boxes[None], multimask_output=False
        )
        logits = F.interpolate(output.pred_masks[0], size, mode="bilinear", align_corners=False)
        return (logits[:, 0] > 0).cpu().numpy()

    def _pixels(self, frames: Sequence[np.ndarray]) -> Tensor:
        """Return frames as the model takes them, `(F, 3, H', W')`.

        transformers' own way there needs torchvision.
        """
        stretched = shrink_frames(frames, self.input_size, self.device)[0]
        return (stretched - self._mean) / self._std
