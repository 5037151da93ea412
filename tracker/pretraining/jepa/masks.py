"""Multi-block masks: which tokens the context encoder sees and which are to be predicted.

A mask is the union of blocks that span all frames; the context is what it leaves (Bardes et al.,
arXiv 2404.08471, section 3.2). Tokens are numbered in (t, h, w) order, as the encoder has them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from tracker.errors import UserError

TRIES = 200


@dataclass(frozen=True)
class MaskConfig:
    """One kind of mask.

    Attributes:
        blocks: how many, placed at random; they may overlap.
        area: of a block, as a share of a frame's.
        aspect: smallest and largest height / width of a block. Where a block of this area does not
            fit the frame otherwise, its aspect yields, not its area.
        min_context: smallest share of a frame that stays visible; other draws are thrown away.
            One clip that shows next to nothing would cut the context of its whole batch.
    """

    blocks: int
    area: float
    aspect: tuple[float, float] = (0.75, 1.5)
    min_context: float = 0.05

    def __post_init__(self) -> None:
        object.__setattr__(self, "aspect", tuple(self.aspect))
        if self.blocks < 1 or not 0 < self.area < 1:
            raise UserError(
                f"mask of {self.blocks} blocks of {self.area}: use 1 or more, of an area in 0..1"
            )
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise UserError(f"mask aspect {list(self.aspect)}: use 0 < min <= max")
        if not 0 <= self.min_context < 1:
            raise UserError(f"min_context {self.min_context}: use a share in 0..1")


@dataclass(frozen=True)
class Masks:
    """The masks of a batch, of one kind, with as many tokens in each clip.

    Attributes:
        context: `(B, Nc) int64` visible tokens, ascending.
        target: `(B, Nt) int64` hidden tokens to predict, ascending.
        distance: `(B, Nc) float32` from each visible token to the nearest hidden one, in patches.
    """

    context: Tensor
    target: Tensor
    distance: Tensor

    def to(self, device: torch.device) -> Masks:
        """Return the masks on a device."""
        tensors = (self.context, self.target, self.distance)
        return Masks(*(t.to(device, non_blocking=True) for t in tensors))


def draw_masks(
    config: MaskConfig, grid: tuple[int, int, int], clips: int, random: Generator
) -> Masks:
    """Draw a mask for each clip of a batch; the blocks of a batch have one size, as Meta's.

    Clips are made equal by dropping random places, each in all frames. (Meta's code drops the last
    tokens, which are always those at the bottom of the last frames.)

    Args:
        config: the kind of mask.
        grid: `(t, h, w)` tokens of a clip.
        clips: B.
        random: decides everything.

    Raises:
        UserError: no draw leaves enough context on this grid.
    """
    slots, height, width = grid
    block = draw_block(config, (height, width), random)
    min_context = max(1, math.ceil(config.min_context * height * width))
    hidden = place_blocks(config.blocks, block, (height, width), clips, random)
    for _ in range(TRIES):
        too_hidden = (~hidden).sum((1, 2)) < min_context
        if not too_hidden.any():
            break
        redrawn = int(too_hidden.sum())
        hidden[too_hidden] = place_blocks(config.blocks, block, (height, width), redrawn, random)
    else:
        raise UserError(
            f"masks of {config.blocks} blocks of {block[0]}x{block[1]} patches leave fewer than "
            f"{min_context} of a frame's {height}x{width} patches as context; use larger frames "
            "(data.size), or smaller or fewer blocks (masks.*.area, masks.*.blocks)"
        )
    context = _equal_places(~hidden.flatten(1), random)
    target = _equal_places(hidden.flatten(1), random)
    distance = _distance_to(hidden).gather(1, context)
    return Masks(
        _in_all_slots(context, slots, height * width),
        _in_all_slots(target, slots, height * width),
        distance.repeat(1, slots),
    )


def draw_block(config: MaskConfig, frame: tuple[int, int], random: Generator) -> tuple[int, int]:
    """Draw the `(h, w)` of a block in a frame of `(h, w)` patches."""
    height, width = frame
    area = config.area * height * width
    low, high = config.aspect
    aspect = low + (high - low) * float(torch.rand((), generator=random))
    aspect = min(max(aspect, area / width**2), height**2 / area)
    tall = min(height, max(1, round(math.sqrt(area * aspect))))
    return tall, min(width, max(1, round(area / tall)))


def place_blocks(
    blocks: int, block: tuple[int, int], frame: tuple[int, int], clips: int, random: Generator
) -> Tensor:
    """Return `(B, h, w) bool`, True under a block; blocks lie inside the frame."""
    covered = []
    for size, side in zip(block, frame, strict=True):
        start = torch.randint(side - size + 1, (clips, blocks, 1), generator=random)
        cell = torch.arange(side)
        covered.append((cell >= start) & (cell < start + size))
    rows, columns = covered
    return (rows[..., :, None] & columns[..., None, :]).any(1)


def _equal_places(eligible: Tensor, random: Generator) -> Tensor:
    """Pick at random as many True places of each row of `(B, h*w)` as every row has."""
    count = int(eligible.sum(1).min())
    score = torch.rand(eligible.shape, generator=random) + eligible
    return score.topk(count, dim=1).indices.sort(dim=1).values


def _distance_to(hidden: Tensor) -> Tensor:
    """Return `(B, h*w)` the distance from each place to the nearest True one of `(B, h, w)`."""
    axes = [torch.arange(float(n)) for n in hidden.shape[1:]]
    place = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    distance = torch.cdist(place, place)[None].repeat(len(hidden), 1, 1)
    return distance.masked_fill(~hidden.flatten(1)[:, None], torch.inf).amin(2)


def _in_all_slots(places: Tensor, slots: int, places_per_slot: int) -> Tensor:
    """Turn places `(B, n)` into the tokens there in every slot, `(B, slots * n)`."""
    first = torch.arange(slots)[None, :, None] * places_per_slot
    return (first + places[:, None]).flatten(1)
