"""V-JEPA 2.1's encoder, which released versions of transformers do not have.

Its layers are V-JEPA 2.0's; around them differ: an embedding of its own for single pictures, a
learned vector that tells pictures from video, a norm for each of four depths, and the rotary table
(`RotaryStyle`). Written after Meta's description of it, and checked against a second implementation
only. Shapes: B clips, T frames, N tokens, C channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import VJEPA2Config
from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2Layer, VJEPA2PreTrainedModel

from tracker.features.rotary import RotaryStyle

MODEL_TYPE = "vjepa2_1"

HIERARCHICAL_LAYERS = {
    12: (2, 5, 8, 11),
    24: (5, 11, 17, 23),
    40: (9, 19, 29, 39),
    48: (11, 23, 37, 47),
}
"""For each depth of an encoder the layers, counted from 0, whose outputs have a norm."""

ROPE_GRID = 16
"""Patches a side of the square that positions are spread over: 256 pixels."""


class VJepa21Config(VJEPA2Config):
    """V-JEPA 2.0's settings, and which layers have norms.

    Its `config.json` states the rotary fields `rope_interleaved` and `rope_grid`, so that whoever
    reads it need not guess.
    """

    model_type = MODEL_TYPE
    hierarchical_layers: Any = ()
    rope_interleaved: Any = True
    rope_grid: Any = ROPE_GRID


class Embedding(nn.Module):
    """Tokens of patches, plus what tells one kind of input from the other."""

    def __init__(self, config: VJepa21Config, frames: int) -> None:
        super().__init__()
        patch: Any = config.patch_size
        side = (frames, patch, patch)
        self.proj = nn.Conv3d(config.in_chans, config.hidden_size, side, side)
        self.modality = nn.Parameter(torch.zeros(1, 1, config.hidden_size))

    def forward(self, frames: Tensor) -> Tensor:
        """Turn `(B, T, 3, H, W)` normalised frames into `(B, N, C)` in order (t, h, w)."""
        return self.proj(frames.transpose(1, 2)).flatten(2).transpose(1, 2) + self.modality


class VJepa21Encoder(nn.Module):
    """Embeddings, layers and norms; `tracker.features.encoder` runs them.

    Attributes:
        embeddings: of video, a token for each tubelet of two frames.
        image_embeddings: of pictures, a token for each patch of one frame.
        layer: as V-JEPA 2.0 has them.
        norms: one for each hierarchical layer. In distilled checkpoints only the last was trained.
    """

    rotary_style = RotaryStyle(interleaved=True, span=ROPE_GRID)

    def __init__(self, config: VJepa21Config) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embedding(config, config.tubelet_size)
        self.image_embeddings = Embedding(config, 1)
        width, heads, ratio = config.hidden_size, config.num_attention_heads, config.mlp_ratio
        self.layer = nn.ModuleList(
            VJEPA2Layer(
                config, hidden_size=width, num_attention_heads=heads, mlp_ratio=float(ratio)
            )
            for _ in range(config.num_hidden_layers)
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(width, eps=config.layer_norm_eps) for _ in config.hierarchical_layers
        )

    @property
    def norms_by_layer(self) -> dict[int, nn.Module]:
        """Norms of the hierarchical layers by number, counted from 1."""
        numbers = (layer + 1 for layer in self.config.hierarchical_layers)
        return dict(zip(numbers, self.norms, strict=True))


class VJepa21Model(VJEPA2PreTrainedModel):
    """The encoder as transformers saves and loads models; there is no predictor."""

    config_class = VJepa21Config

    def __init__(self, config: VJepa21Config) -> None:
        super().__init__(config)
        self.encoder = VJepa21Encoder(config)
        self.post_init()
