"""The one loop over an encoder's layers: tokens in, outputs of some layers out.

Everything that runs layers of V-JEPA 2.0 or 2.1 runs them here, whole clips and visible tokens
alone, frozen and in training. Shapes: B clips, N tokens of a clip, n of them that are shown, C
channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from tracker.features.rotary import Rotary, Stack, layers_of, run_layer, tables_of

if TYPE_CHECKING:
    from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2Encoder


def encode_tokens(
    encoder: Stack,
    embedded: Tensor,
    grid: tuple[int, int, int],
    layers: Sequence[int],
    visible: Tensor | None = None,
) -> list[Tensor]:
    """Encode a clip's tokens, or some of them as if there were no others.

    Args:
        encoder: whose layers run.
        embedded: `(B, N, C)` patch embeddings of all tokens, in order (t, h, w).
        grid: `(t, h, w)` tokens of a clip, N in all.
        layers: whose outputs are wanted, counted from 1.
        visible: `(B, n)` numbers of the tokens that are shown, each at its own place; None for all.

    Returns:
        `(B, n, C)` for each wanted layer; the encoder's last one is taken after its final norm,
        and V-JEPA 2.1's hierarchical ones after theirs.
    """
    tokens = embedded if visible is None else pick(embedded, visible)
    return run_layers(encoder, tokens, tables_of(encoder, grid, visible), layers)


def run_layers(stack: Stack, tokens: Tensor, rotary: Rotary, layers: Sequence[int]) -> list[Tensor]:
    """Run an encoder's or predictor's layers up to the highest that is wanted.

    Args:
        stack: whose layers run.
        tokens: `(B, n, C)`, which see each other and nothing else.
        rotary: tables of the tokens' positions.
        layers: whose outputs are wanted, counted from 1.

    Returns:
        `(B, n, C)` for each wanted layer, in their order; those that have a norm after it.
    """
    outputs, hidden = {}, tokens
    norms = output_norms(stack)
    for number, layer in enumerate(layers_of(stack)[: max(layers)], start=1):
        hidden = run_layer(layer, hidden, *rotary)
        if number in layers:
            outputs[number] = norms[number](hidden) if number in norms else hidden
    return [outputs[number] for number in layers]


def output_norms(stack: Stack) -> dict[int, nn.Module]:
    """Return which layers' outputs, counted from 1, are read after a norm, and after which."""
    of_21: dict[int, nn.Module] | None = getattr(stack, "norms_by_layer", None)
    if of_21 is not None:
        return of_21
    return {len(layers_of(stack)): cast("VJEPA2Encoder", stack).layernorm}


def pick(tokens: Tensor, ids: Tensor) -> Tensor:
    """Return tokens `ids (B, n)` of `(B, N, C)` as `(B, n, C)`."""
    return tokens.gather(1, ids[..., None].expand(-1, -1, tokens.shape[-1]))
