"""Beginning with the weights of another tracker, and training a part of the head alone."""

from __future__ import annotations

from pathlib import Path

from tracker.errors import UserError
from tracker.head.tracking_head import TrackingHead
from tracker.tracking.saving import WEIGHTS, load_head
from tracker.tracking.tracker import PointTracker

REFINEMENT = "refine."
"""How the names of the weights begin that a head of the coarse match alone lacks."""


def train_only(head: TrackingHead, part: str) -> None:
    """Freeze all of the head but one part. The last, `refine`, then costs no gradients of features.

    Raises:
        UserError: the head has no such part.
    """
    parts = [name for name, _ in head.named_children()]
    if part not in parts:
        raise UserError(f"train_only={part} is no part of the head; it has {', '.join(parts)}")
    head.requires_grad_(False)
    head.get_submodule(part).requires_grad_(True)


def start_from(tracker: PointTracker, path: str) -> None:
    """Begin with the head's weights of another tracker; one without refinement gives the rest.

    Raises:
        UserError: they are missing or damaged, or do not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = Path(path) / WEIGHTS
    if not file.is_file():
        raise UserError(f"warm_start: {file} does not exist; name a tracker's folder")
    try:
        state = load_file(file)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"warm_start: {file} is damaged ({error}); copy or save it again"
        ) from error
    if not any(name.startswith(REFINEMENT) for name in state):
        fresh = tracker.head.state_dict()
        state.update((k, v) for k, v in fresh.items() if k.startswith(REFINEMENT))
    load_head(tracker, state, str(file), "of this run")
