"""Where refinement starts: at what is known of a point, and between known places in time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def overrule(
    xy: Tensor, sure: Tensor, better: Sequence[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Put better places over `xy (..., T, 2)`, each where its mask `(..., T)` holds, in turn.

    Returns:
        The places, and where they are sure: where `sure` or any of the masks holds.
    """
    for places, mask in better:
        xy, sure = torch.where(mask[..., None], places, xy), sure | mask
    return xy, sure


def bridge(xy: Tensor, known: Tensor, before: Tensor | None = None) -> Tensor:
    """Fill the frames in which a point is not known, linearly in time.

    Before the first and after the last known frame the point stays where it is there. A point
    that is nowhere known is left alone.

    Args:
        xy: `(..., T, 2)` positions.
        known: `(..., T) bool`, which of them to keep.
        before: `(..., K, 2)` known positions in the K frames before these; None for none.

    Returns:
        `(..., T, 2)`.
    """
    if before is not None and before.shape[-2]:
        earlier = before[..., -1:, :]
        always = torch.ones_like(known[..., :1])
        return bridge(torch.cat([earlier, xy], -2), torch.cat([always, known], -1))[..., 1:, :]
    length = known.shape[-1]
    time = torch.arange(length, device=xy.device).expand(known.shape)
    previous = time.where(known, -1).cummax(-1).values
    following = time.where(known, length).flip(-1).cummin(-1).values.flip(-1)
    nowhere = (previous < 0) & (following >= length)
    first = previous.where(previous >= 0, following).masked_fill(nowhere, 0)
    last = following.where(following < length, previous).masked_fill(nowhere, 0)
    share = ((time - first) / (last - first).clamp(min=1)).to(xy.dtype)[..., None]
    start, end = (xy.gather(-2, index[..., None].expand_as(xy)) for index in (first, last))
    filled = torch.lerp(start, end, share)
    return torch.where((known | nowhere)[..., None], xy, filled)
