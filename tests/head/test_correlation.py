"""Local 4D correlation against a plain `grid_sample`."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.head.correlation import (
    Level,
    correlate_frames,
    gather_cells,
    interpolate_patch,
    local_correlation,
    sample_query_patches,
)

SIZE = (64, 48)


def make_level(batch: int = 2, frames: int = 3, channels: int = 5, seed: int = 0) -> Level:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(batch, frames, channels, 12, 16, generator=generator)
    return Level.of(features, SIZE)


def plain_patches(level: Level, xy: torch.Tensor, frame: torch.Tensor, radius: int) -> torch.Tensor:
    """Sample `(B, N, T, K, K, C)` patches by `grid_sample`, position by position."""
    offsets = torch.arange(-radius, radius + 1.0)
    rows, columns = torch.meshgrid(offsets, offsets, indexing="ij")
    places = xy[..., None, None, :] + torch.stack([columns, rows], -1) * level.stride
    grid = 2 * places / torch.tensor(SIZE) - 1
    result = torch.empty(*places.shape[:-1], level.table.shape[-1])
    for index in torch.cartesian_prod(*(torch.arange(n) for n in xy.shape[:3])):
        b, n, t = index.tolist()
        features = rearrange(level.table[b, frame[b, n, t]], "h w c -> 1 c h w")
        sampled = F.grid_sample(
            features, grid[b, n, t][None], padding_mode="border", align_corners=False
        )
        result[b, n, t] = rearrange(sampled, "1 c h w -> h w c")
    return result


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), radius=st.integers(0, 3))
def test_patches_equal_grid_sample_inside_and_at_the_borders(seed: int, radius: int) -> None:
    level = make_level(seed=seed)
    generator = torch.Generator().manual_seed(seed)
    xy = torch.rand(2, 4, 3, 2, generator=generator) * torch.tensor(SIZE)
    frame = torch.arange(3).expand(2, 4, 3)
    cells, fraction = gather_cells(level, xy, radius, torch.arange(3))
    ours = interpolate_patch(cells, fraction)
    torch.testing.assert_close(ours, plain_patches(level, xy, frame, radius), atol=2e-5, rtol=1e-4)


def test_query_patches_come_from_their_own_frame() -> None:
    level = make_level()
    xy = torch.rand(2, 4, 2) * torch.tensor(SIZE)
    frame = torch.tensor([[0, 1, 2, 1], [2, 2, 0, 1]])
    ours = sample_query_patches(level, xy, frame, 1)
    plain = plain_patches(level, xy[:, :, None], frame[:, :, None], 1)
    torch.testing.assert_close(ours, rearrange(plain, "b n 1 y x c -> b n (y x) c"))


def test_correlation_equals_correlating_interpolated_features() -> None:
    level = make_level()
    xy = torch.rand(2, 4, 3, 2) * torch.tensor(SIZE)
    query = torch.randn(2, 4, 9, 5)
    ours = local_correlation(level, query, xy, 2)
    patches = plain_patches(level, xy, torch.arange(3).expand(2, 4, 3), 2)
    plain = torch.einsum("bntyxc,bnpc->bntyxp", patches, query)
    torch.testing.assert_close(ours, plain.flatten(3), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("place", [-1e6, -50.0, 1e6, 3e3])
def test_far_outside_is_the_border(place: float) -> None:
    level = make_level()
    xy = torch.full((2, 1, 3, 2), place)
    cells, fraction = gather_cells(level, xy, 1, torch.arange(3))
    assert torch.isfinite(interpolate_patch(cells, fraction)).all()
    corner = level.table[:, :, 0, 0] if place < 0 else level.table[:, :, -1, -1]
    torch.testing.assert_close(cells[:, 0, :, 0, 0], corner)


def test_frames_are_correlated_in_full_precision_under_autocast() -> None:
    level = Level.of(torch.randn(1, 2, 8, 3, 4), (16, 12))
    queries = torch.randn(1, 5, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = correlate_frames(queries, level)
    expected = torch.stack(
        [(level.table[0] * query).sum(-1) for query in queries[0]]  # (T, h, w) each
    )
    torch.testing.assert_close(found[0], expected)


def test_gradients_reach_the_features() -> None:
    features = torch.randn(1, 2, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    query = torch.randn(1, 2, 1, 3, dtype=torch.float64, requires_grad=True)
    xy = torch.tensor([[[[3.3, 4.1], [8.2, 1.7]], [[6.6, 5.5], [2.1, 9.9]]]], dtype=torch.float64)

    def correlate(f: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return local_correlation(Level.of(f, (12, 12)), q, xy, 1)

    assert torch.autograd.gradcheck(correlate, (features, query))
