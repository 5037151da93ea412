"""Masks: what is visible and what is hidden never overlap, and every block is as it should be."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped_masks import LONG_RANGE, SHORT_RANGE
from torch import Generator

from tracker.errors import UserError
from tracker.pretraining.jepa.masks import MaskConfig, Masks, draw_block, draw_masks, place_blocks

grids = st.tuples(st.integers(1, 4), st.integers(4, 18), st.integers(4, 18))
kinds = st.sampled_from([SHORT_RANGE, LONG_RANGE])
seeds = st.integers(0, 2**31)


def masks_of(config: MaskConfig, grid: tuple[int, int, int], clips: int, seed: int) -> Masks:
    return draw_masks(config, grid, clips, Generator().manual_seed(seed))


@settings(max_examples=60, deadline=None)
@given(kinds, grids, st.integers(1, 5), seeds)
def test_context_and_target(
    config: MaskConfig, grid: tuple[int, int, int], clips: int, seed: int
) -> None:
    masks = masks_of(config, grid, clips, seed)
    slots, height, width = grid
    least = math.ceil(config.min_context * height * width)
    assert masks.context.shape[0] == masks.target.shape[0] == clips
    assert masks.context.shape[1] >= slots * max(1, least)
    for context, target, distance in zip(masks.context, masks.target, masks.distance, strict=True):
        visible, hidden = set(context.tolist()), set(target.tolist())
        assert len(visible) == len(context) and len(hidden) == len(target)
        assert not visible & hidden, "a token is both context and target"
        assert visible | hidden <= set(range(slots * height * width)), "outside the grid"
        for tokens in (context, target):
            assert (tokens.diff() > 0).all()
            # Every place is in all slots or in none: the mask spans time.
            per_slot = (tokens % (height * width)).view(slots, -1)
            assert (per_slot == per_slot[0]).all()
        assert (distance >= 1).all()


@settings(max_examples=40, deadline=None)
@given(kinds, grids, seeds)
def test_one_clip_has_all_tokens(config: MaskConfig, grid: tuple[int, int, int], seed: int) -> None:
    masks = masks_of(config, grid, 1, seed)
    assert masks.context.shape[1] + masks.target.shape[1] == math.prod(grid)
    slots, height, width = grid
    # The union of the blocks hides no less than one of them.
    block = math.prod(draw_block(config, (height, width), Generator().manual_seed(seed)))
    assert masks.target.shape[1] >= slots * block
    # Distances, once more and slowly.
    places = [divmod(p, width) for p in (masks.context[0] % (height * width)).tolist()]
    hidden = [divmod(p, width) for p in (masks.target[0] % (height * width)).tolist()]
    for place, distance in list(zip(places, masks.distance[0].tolist(), strict=True))[:5]:
        assert distance == pytest.approx(min(math.dist(place, other) for other in hidden), rel=1e-4)


@settings(max_examples=100, deadline=None)
@given(kinds, st.integers(4, 24), st.integers(4, 24), seeds)
def test_blocks_have_their_area_and_aspect(
    config: MaskConfig, height: int, width: int, seed: int
) -> None:
    tall, wide = draw_block(config, (height, width), Generator().manual_seed(seed))
    assert 1 <= tall <= height and 1 <= wide <= width
    wanted = config.area * height * width
    # The width is a whole number: half a column is the most that rounding can do, and a block that
    # is rounded to the full width cannot be wider.
    assert abs(tall * wide - wanted) <= tall / 2 + 1e-6 or wide == width
    low, high = config.aspect
    fits = wanted / width**2 <= low and height**2 / wanted >= high
    if fits:
        assert (tall - 0.5) ** 2 <= wanted * high and (tall + 0.5) ** 2 >= wanted * low


def test_paper_ratios() -> None:
    """On the paper's grid both kinds hide most of the frame, the context is a small share."""
    shares = {}
    for name, config in (("short", SHORT_RANGE), ("long", LONG_RANGE)):
        hidden = [
            masks_of(config, (8, 14, 14), 1, s).target.shape[1] / (8 * 196) for s in range(99)
        ]
        shares[name] = sum(hidden) / len(hidden)
    assert 0.6 < shares["short"] < 0.8
    assert 0.8 < shares["long"] < 0.95


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.integers(1, 3), seeds)
@settings(max_examples=50, deadline=None)
def test_blocks_lie_inside(blocks: int, tall: int, wide: int, clips: int, seed: int) -> None:
    random = Generator().manual_seed(seed)
    covered = place_blocks(1, (tall, wide), (6, 7), clips, random)
    assert (covered.sum((1, 2)) == tall * wide).all()
    many = place_blocks(blocks, (tall, wide), (6, 7), clips, random).sum((1, 2))
    assert (many >= tall * wide).all() and (many <= blocks * tall * wide).all()


def test_deterministic_and_different() -> None:
    first, again, other = (masks_of(SHORT_RANGE, (2, 8, 8), 4, seed) for seed in (5, 5, 6))
    assert torch.equal(first.context, again.context) and torch.equal(first.target, again.target)
    assert first.target.shape != other.target.shape or not torch.equal(first.target, other.target)
    assert not torch.equal(first.target[0], first.target[1])


def test_equal_lengths_drop_random_places() -> None:
    """The last rows and frames are not dropped more often than the first."""
    kept = torch.zeros(8, 8)
    for seed in range(200):
        masks = masks_of(SHORT_RANGE, (1, 8, 8), 6, seed)
        kept += torch.bincount(masks.context.flatten(), minlength=64).view(8, 8)
    top, bottom = kept[:4].sum(), kept[4:].sum()
    assert abs(float(top - bottom)) / float(top + bottom) < 0.05


@pytest.mark.parametrize(
    ("config", "grid"),
    [
        (LONG_RANGE, (2, 1, 1)),
        (SHORT_RANGE, (2, 1, 1)),
        (MaskConfig(2, 0.9), (2, 2, 2)),
        (MaskConfig(200, 0.15), (1, 8, 8)),
    ],
    ids=str,
)
def test_no_context_left_is_refused(config: MaskConfig, grid: tuple[int, int, int]) -> None:
    words = rf"{grid[1]}x{grid[2]} patches as context; use larger frames \(data\.size\), or smaller"
    with pytest.raises(UserError, match=words):
        masks_of(config, grid, 2, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"blocks": 0},
        {"area": 0.0},
        {"area": 1.0},
        {"aspect": (2.0, 1.0)},
        {"min_context": 1.0},
    ],
    ids=str,
)
def test_senseless_settings(wrong: dict) -> None:
    with pytest.raises(UserError):
        MaskConfig(**({"blocks": 2, "area": 0.5} | wrong))
