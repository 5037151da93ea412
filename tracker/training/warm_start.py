"""Beginning with the weights of another tracker, and training a part of the head alone."""

from __future__ import annotations

from pathlib import Path

from tracker.errors import UserError
from tracker.head.tracking_head import TrackingHead
from tracker.tracking.identity import Fingerprints, read_config
from tracker.tracking.saving import CONFIG, WEIGHTS, load_head, load_weights
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


def start_from(tracker: PointTracker, path: str, other_features: bool = False) -> None:
    """Begin with the head's weights of another tracker; one without refinement gives the rest.

    Args:
        tracker: of the run.
        path: folder of the other tracker.
        other_features: go over to another backbone or template than the head was trained on.

    Raises:
        UserError: weights or config are missing or damaged, the weights do not fit, or backbone or
            template is another.
    """
    folder = Path(path)
    file = folder / WEIGHTS
    if not file.is_file():
        raise UserError(f"warm_start: {file} does not exist; name a tracker's folder")
    try:
        state = load_weights(folder)
        recorded = Fingerprints.read(read_config(folder), folder / CONFIG)
    except UserError as error:
        raise UserError(f"warm_start: {error}") from error
    if recorded is not None and not other_features:
        check_features(recorded, Fingerprints.of(tracker), path)
    if not any(name.startswith(REFINEMENT) for name in state):
        fresh = tracker.head.state_dict()
        state.update((k, v) for k, v in fresh.items() if k.startswith(REFINEMENT))
    load_head(tracker, state, str(file), "of this run")


def check_features(began: Fingerprints, run: Fingerprints, path: str) -> None:
    """Fail unless a run has the backbone and template of the tracker in `path`.

    Raises:
        UserError: names the part that differs, and the setting that allows it.
    """
    for part, setting in (("backbone", "backbone.source"), ("template", "template")):
        theirs, ours = getattr(began, part), getattr(run, part)
        if theirs != ours:
            raise UserError(
                f"warm_start: the head in {path} was trained with {part} {theirs or 'none'}, but "
                f"this run has {ours or 'none'}; set {setting} to that one, or "
                "warm_start_other_features=true to go over to another"
            )
