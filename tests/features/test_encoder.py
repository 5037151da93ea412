"""The loop over layers: which outputs, of which tokens, turned by which angles."""

from __future__ import annotations

import pytest
import torch
from tiny_models import tiny_encoder

from tracker.features.encoder import encode_tokens, pick, run_layers
from tracker.features.rotary import grid_positions, layers_of, rotary_tables, tables_of

GRID = (2, 3, 5)
TOKENS = 30


def embedded(clips: int = 2) -> torch.Tensor:
    return torch.randn(clips, TOKENS, 64, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_outputs_come_in_the_order_that_is_asked_for() -> None:
    encoder = tiny_encoder().encoder
    first, last = encode_tokens(encoder, embedded(), GRID, (1, 2))
    again = encode_tokens(encoder, embedded(), GRID, (2, 1))
    assert torch.equal(first, again[1]) and torch.equal(last, again[0])
    assert torch.equal(first, encode_tokens(encoder, embedded(), GRID, (1,))[0])
    rotary = tables_of(encoder, GRID)
    plain = encoder.layernorm(run_layers(encoder, embedded(), rotary, (1,))[0])
    assert not torch.allclose(plain, last, atol=1e-2)  # the second layer lies between


@torch.no_grad()
def test_each_clip_has_its_own_visible_tokens() -> None:
    encoder = tiny_encoder().encoder
    visible = torch.tensor([[0, 7, 12], [29, 3, 4]])
    both = encode_tokens(encoder, embedded(), GRID, (2,), visible)[0]
    for clip in range(2):
        one = slice(clip, clip + 1)
        alone = encode_tokens(encoder, embedded()[one], GRID, (2,), visible[one])[0]
        torch.testing.assert_close(both[one], alone, atol=1e-5, rtol=1e-5)
    everything = torch.arange(TOKENS).expand(2, -1)
    shown = encode_tokens(encoder, embedded(), GRID, (2,), everything)[0]
    whole = encode_tokens(encoder, embedded(), GRID, (2,))[0]
    torch.testing.assert_close(shown, whole, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(pick(whole, visible), both, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_angles_are_exact_and_only_their_tables_are_rounded(dtype: torch.dtype) -> None:
    """In inference with half the weights; a CPU's autocast leaves them, see `attend`."""
    encoder = tiny_encoder().encoder
    exact = tables_of(encoder, (8, 24, 24))
    with torch.autocast("cpu", dtype):
        training = tables_of(encoder, (8, 24, 24))
    inference = tables_of(encoder.to(dtype), (8, 24, 24))
    for table, trained, used in zip(exact, training, inference, strict=True):
        assert table.dtype == torch.float32
        assert torch.equal(trained, table) and torch.equal(used, table.to(dtype))


def test_what_is_left_of_a_head_does_not_turn() -> None:
    attention = layers_of(tiny_encoder().encoder)[0].attention
    cos, sin = rotary_tables(attention, grid_positions(GRID, torch.device("cpu")), torch.float32)
    assert cos.shape == sin.shape == (TOKENS, 32)
    turning = attention.d_dim + attention.h_dim + attention.w_dim
    assert turning < 32
    assert (cos[:, turning:] == 1).all() and (sin[:, turning:] == 0).all()
    torch.testing.assert_close(cos**2 + sin**2, torch.ones_like(cos))
