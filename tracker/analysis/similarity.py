"""How alike features are at equal and at different places, and how much place explains.

Shapes: K clips, S tubelet slots, C channels, h x w patches. A place is one (slot, row, column).
The means over pairs are exact, not sampled: the cosines between all pairs of a set of unit vectors
add up to the squared length of their sum, less one for each vector paired with itself.
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from tracker.errors import UserError
from tracker.features.moments import positional_share


def similarities(features: Tensor) -> dict[str, float]:
    """Return mean cosines between pairs of tokens, and the share of variance by place.

    Args:
        features: `(K, S, C, h, w)` of one layer, K and S at least 2.

    Returns:
        `across_clips`: two clips, one place; `across_frames`: one clip and patch, two slots;
        `random_places`: two clips, two places; `positional_share`: as `PlaceMoments` has it.

    Raises:
        UserError: fewer than two clips or slots.
    """
    clips, slots = features.shape[:2]
    if clips < 2:
        raise UserError(f"similarities across clips need 2 clips, got {clips}; raise --clips")
    if slots < 2:
        raise UserError("similarities across frames need 2 tubelets; use --window 4 or more")
    return {
        "across_clips": across_clips(features),
        "across_frames": across_frames(features),
        "random_places": random_places(features),
        "positional_share": positional_share(features),
    }


def across_clips(features: Tensor) -> float:
    """Mean cosine between two clips at the same place of `(K, S, C, h, w)`."""
    return _mean_over_pairs(rearrange(_unit(features), "k s c h w -> (s h w) k c"))


def across_frames(features: Tensor) -> float:
    """Mean cosine between two slots of one clip at the same patch of `(K, S, C, h, w)`."""
    return _mean_over_pairs(rearrange(_unit(features), "k s c h w -> (k h w) s c"))


def random_places(features: Tensor) -> float:
    """Mean cosine between two clips at two different places of `(K, S, C, h, w)`."""
    unit = rearrange(_unit(features), "k s c h w -> k (s h w) c")
    clips, places = unit.shape[:2]
    per_clip = unit.sum(1)
    all_places = per_clip.sum(0).square().sum() - per_clip.square().sum()
    same_place = unit.sum(0).square().sum() - unit.square().sum()
    return float((all_places - same_place) / (clips * (clips - 1) * places * (places - 1)))


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features.double(), dim=2)


def _mean_over_pairs(unit: Tensor) -> float:
    """Mean cosine over pairs within each group of `(groups, members, C)` unit vectors."""
    members = unit.shape[1]
    total = unit.sum(1).square().sum() - unit.square().sum()
    return float(total / (len(unit) * members * (members - 1)))
