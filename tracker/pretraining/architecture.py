"""The model that pretraining starts from: a new one of some size, or a checkpoint."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tracker.errors import UserError
from tracker.features.checkpoints import MINI_ARCHITECTURE, load_config, load_model
from tracker.features.rotary import layers_of

if TYPE_CHECKING:
    from transformers import VJEPA2Model
    from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2Encoder


def open_model(
    architecture: dict[str, Any], init_from: str | None, size: tuple[int, int], frames: int
) -> VJEPA2Model:
    """Return transformers' `VJEPA2Model` in float32, to be trained on clips of this shape.

    Args:
        architecture: settings of `VJEPA2Config` that differ from the mini model's; with a
            checkpoint, what it is expected to have. None values count as not given.
        init_from: a folder, a hub id or `mini`; None starts from random weights (torch's seed).
        size: `(height, width)` of the clips in pixels.
        frames: length of the clips.

    Raises:
        UserError: no such checkpoint, it has another architecture, or clips do not fit its tokens.
    """
    given = {name: value for name, value in architecture.items() if value is not None}
    model = _new_model(given) if init_from is None else _load_model(init_from, given)
    config: Any = model.config  # transformers types patch_size as a number or a pair
    if any(side % config.patch_size for side in size) or frames % config.tubelet_size:
        raise UserError(
            f"clips of {frames} frames of {size[0]}x{size[1]}: the size must be a multiple of "
            f"{config.patch_size} pixels and the length of {config.tubelet_size} frames"
        )
    # transformers computes positions from these; they make a saved model right at its own size.
    if size[0] == size[1]:
        config.crop_size = size[0]
    config.frames_per_clip = frames
    return model


def _new_model(given: dict[str, Any]) -> VJEPA2Model:
    from transformers import VJEPA2Config, VJEPA2Model

    try:
        model = VJEPA2Model(VJEPA2Config(**MINI_ARCHITECTURE | given))
    except (ValueError, TypeError, ZeroDivisionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"architecture {given} cannot be built ({reason})") from error
    draw_initial_weights(model)
    return model


def _load_model(init_from: str, given: dict[str, Any]) -> VJEPA2Model:
    config = load_config(init_from)
    for name, value in given.items():
        if getattr(config, name) != value:
            raise UserError(
                f"init_from {init_from} has {name}={getattr(config, name)}, not {value}; leave out "
                f"architecture.{name}, or start without init_from"
            )
    model = load_model(init_from)
    model.requires_grad_(True)
    return model


@torch.no_grad()
def draw_initial_weights(model: VJEPA2Model) -> None:
    """Draw weights by the rule of Glorot and Bengio (2010), which suits any width.

    transformers draws all from a deviation of 0.02, which suits a width of 1024: at 256, signals
    fade from layer to layer. What each layer adds to the residual stream is divided by
    `sqrt(2 * its number)`, as Meta does.

    Args:
        model: new.
    """
    patches = model.encoder.embeddings.patch_embeddings.proj
    nn.init.trunc_normal_(patches.weight, std=patches.weight[0].numel() ** -0.5)
    for stack in (model.encoder, model.predictor):
        for number, layer in enumerate(layers_of(stack), start=1):
            attention, mlp = layer.attention, layer.mlp
            added = (attention.proj, mlp.fc2)
            for linear in (attention.query, attention.key, attention.value, mlp.fc1, *added):
                nn.init.xavier_uniform_(linear.weight)
            for linear in added:
                linear.weight /= math.sqrt(2 * number)


HEAD_SHARPNESS = (0.35, 0.7, 1.4, 2.8)
"""How much sharper one head's attention starts than another's, in turn."""


@torch.no_grad()
def start_local(encoder: VJEPA2Encoder, sharpness: float) -> None:
    """Let each head attend to near tokens from the start, as convolutions do.

    As initialised, attention is all but even, and takes a thousand steps to become anything else.
    Equal biases of queries and keys, turned by the rotary embedding, make logits that fall with the
    distance in rows and columns: the sum of `cos(frequency * distance)` over frequencies. V-JEPA 2
    gives the two channels of a pair different frequencies; of each, one pair's first channel and
    another pair's second one are set, whose products add up to just that cosine.

    Args:
        encoder: new, with biases of queries and keys; the cosines are exact where a third of a head
            has an even number of frequencies, as with 64 channels.
        sharpness: by which logits fall; 1 lets the sharpest head see little beyond its neighbours.
    """
    for layer in layers_of(encoder):
        attention = layer.attention
        heads, channels = attention.num_attention_heads, attention.attention_head_size
        bias = torch.zeros(heads, channels)
        for head in range(heads):
            logit = sharpness * HEAD_SHARPNESS[head % len(HEAD_SHARPNESS)]
            value = math.sqrt(logit * math.sqrt(channels))
            start = attention.d_dim
            for width in (attention.h_dim, attention.w_dim):
                channel = torch.arange(width)
                second_half = channel >= width // 2
                bias[head, start : start + width] = value * (channel % 2 == second_half.int())
                start += width
        attention.query.bias.copy_(bias.flatten())
        attention.key.bias.copy_(bias.flatten())
