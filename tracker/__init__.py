"""Follow any point through any video, on frozen V-JEPA 2 features.

from tracker import PointTracker, Queries, load_video

video = load_video("clip.mp4")
tracks = PointTracker.from_pretrained("mini").track(video, Queries.grid(16, video.size))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from tracker.errors import UserError
    from tracker.points.queries import Queries
    from tracker.points.tracks import Tracks
    from tracker.registry import make_tracker
    from tracker.tracking.tracker import PointTracker
    from tracker.video.loading import load_video
    from tracker.video.video import Video
    from tracker.video.writing import write_video

# Public names and their modules.
_PUBLIC = {
    "PointTracker": "tracker.tracking.tracker",
    "Queries": "tracker.points.queries",
    "Tracks": "tracker.points.tracks",
    "UserError": "tracker.errors",
    "Video": "tracker.video",
    "load_video": "tracker.video",
    "make_tracker": "tracker.registry",
    "write_video": "tracker.video",
}
__all__ = [
    "PointTracker",
    "Queries",
    "Tracks",
    "UserError",
    "Video",
    "__version__",
    "load_video",
    "make_tracker",
    "write_video",
]


def __getattr__(name: str) -> Any:
    """Import public names when they are first used, so that `lk` does not wait for torch."""
    if name == "__version__":
        from importlib.metadata import version

        return version("vjepa-tracker")
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'tracker' has no attribute {name!r}")
