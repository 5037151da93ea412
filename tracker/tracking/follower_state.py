"""What a follower holds, as named tensors, so that another process can go on with it."""

from __future__ import annotations

import torch
from torch import Tensor

from tracker.head.correlation import Level
from tracker.head.past import Past
from tracker.head.tracking_head import FrameFeatures, QueryDescriptors
from tracker.tracking.context import FollowedFrames
from tracker.tracking.follower import Follower


def follower_state(follower: Follower) -> dict[str, Tensor]:
    """Return copies of what is known of the points and of the context."""
    state = {"active": follower.active, "has_past": follower.pasts.has}
    if follower.descriptors is not None:
        state |= _numbered("patches", follower.descriptors.patches)
    if follower.known is not None:
        state |= {"xy": follower.known.xy, "visibility_logits": follower.known.visibility_logits}
    if follower.pasts.past is not None:
        state |= _numbered("past", follower.pasts.past.tensors())
    if follower.near.parts:
        features = follower.near.alone()
        state |= _numbered("level", [level.table for level in features.levels])
        state |= _numbered("stride", [level.stride for level in features.levels])
        state["fine_size"] = torch.tensor(features.size)
        if features.gray is not None:
            state["gray"] = torch.from_numpy(features.gray)
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}


def load_follower(follower: Follower, state: dict[str, Tensor]) -> None:
    """Bring a follower that was made of the same points to where `follower_state` was asked."""
    on = {name: tensor.to(follower.xy.device) for name, tensor in state.items()}
    follower.active = on["active"].clone()
    patches, past = _in_order("patches", on), _in_order("past", on)
    follower.descriptors = QueryDescriptors(patches, follower.xy[None]) if patches else None
    follower.pasts.restore(Past.of(past) if past else None, on["has_past"].clone())
    follower.known = FollowedFrames(on["xy"], on["visibility_logits"]) if "xy" in on else None
    levels = [
        Level(table, stride)
        for table, stride in zip(_in_order("level", on), _in_order("stride", on), strict=True)
    ]
    if levels:
        width, height = (int(side) for side in on["fine_size"])
        gray = state["gray"].numpy() if "gray" in state else None
        follower.near.parts = [FrameFeatures(levels, (width, height), gray)]


def _numbered(name: str, tensors: list[Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{number}": tensor for number, tensor in enumerate(tensors)}


def _in_order(name: str, state: dict[str, Tensor]) -> list[Tensor]:
    """Return copies of what `_numbered` gave names to."""
    count = sum(key.startswith(f"{name}.") for key in state)
    return [state[f"{name}.{number}"].clone() for number in range(count)]
