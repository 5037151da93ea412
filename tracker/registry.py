"""Trackers by name.

A tracker is anything with `track(video, queries) -> Tracks`. The command line and the evaluation
know trackers only by name; a name may carry an argument after `@`, such as `vjepa@runs/my_model`.
Modules are imported when their tracker is asked for, so that `lk` does not load torch.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.video.video import Video


class Tracker(Protocol):
    """Follows query points through a video."""

    def track(
        self, video: Video, queries: Queries, progress: Progress | bool | None = None
    ) -> Tracks:
        """Return a track for each point of the queries over all frames of the video.

        Args:
            video: of any size and length.
            queries: in frames and pixels of the video.
            progress: True shows a bar, or a function that is called with steps done and in all;
                see `tracker.progress.reported`.

        Raises:
            UserError: a query lies outside the video, or the video cannot be decoded.
        """
        ...


@runtime_checkable
class BlockTracker(Tracker, Protocol):
    """Tells of each block of frames once it is done."""

    def track_blocks(
        self,
        video: Video,
        queries: Queries,
        on_block: Callable[[Tracks], object],
        progress: Progress | bool | None = None,
    ) -> Tracks:
        """Return tracks as `track` does.

        Args:
            video: as there.
            queries: as there.
            on_block: called after each block with the tracks of all frames so far; not at all
                where later frames may change them.
            progress: as there.
        """
        ...


_FACTORIES: dict[str, str] = {
    "static": "tracker.baselines:StaticTracker",
    "lk": "tracker.baselines:LucasKanadeTracker",
    "vjepa": "tracker.tracking.tracker:pretrained_trackers",
}
LEARNED = {"vjepa"}
"""Those that have settings, and a device to run on."""


def tracker_names() -> list[str]:
    """Names that `make_tracker` knows."""
    return sorted(_FACTORIES)


def make_tracker(name: str, changes: dict[str, Any] | None = None, device: str = "auto") -> Tracker:
    """Build a tracker from its name, or `name@argument`.

    Args:
        name: one of `tracker_names`.
        changes: settings of a learned tracker to replace, nested as in its `TrackerConfig`; the
            baselines have none.
        device: where a learned tracker runs, as torch names devices, or `auto`: a GPU where there
            is one, else the CPU.

    Raises:
        UserError: no tracker of that name, it takes no argument or no settings, it has no such
            setting, or there is no such device.
    """
    base, _, argument = name.partition("@")
    if name and base not in _FACTORIES and Path(name).is_dir():
        raise UserError(f"{name!r} is a folder; to track with what it holds, write vjepa@{name}")
    if base not in _FACTORIES:
        raise UserError(f"no tracker is called {base!r}; choose from {', '.join(tracker_names())}")
    module, factory = _FACTORIES[base].split(":")
    build = getattr(import_module(module), factory)
    if changes and base not in LEARNED:
        raise UserError(
            f"tracker {base!r} has no settings to change, but {', '.join(changes)} is given; "
            f"give settings to {', '.join(sorted(LEARNED))} alone"
        )
    settings = {"changes": changes, "device": device} if base in LEARNED else {}
    if not argument:
        return build(**settings)
    if not hasattr(build, "from_argument"):
        raise UserError(f"tracker {base!r} takes no argument, but {name!r} gives one")
    return build.from_argument(argument, **settings)
