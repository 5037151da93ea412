"""Tracks of the shipped tracker on a small clip, whole and as a stream, and their stored values.

    python tests/golden_tracks.py

stores them anew, after a change that is meant to move tracks. The frames are stored, too: a change
of the renderer is none of the tracker.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tracker.points.queries import Queries
from tracker.tracking.tracker import PointTracker
from tracker.video.video import Video

GOLDEN = Path(__file__).parent / "tracking" / "golden_tracks.npz"
CUT = {
    "fine_size": [192, 192],
    "inference": {"block": 6, "context": 4},
    "backbone": {"dtype": "float32"},
}
"""Small frames, to be quick, and small blocks, so that the clip goes over several; and arithmetic
that all processors have."""
PUSHED = 5
"""Frames that the stream gets at a time."""


def render() -> np.ndarray:
    """Return `(T, H, W, 3) uint8` frames of a scene in which points hide."""
    from tracker.datasets.rendered import render_sample
    from tracker.scenes.renderer import SceneConfig
    from tracker.scenes.textures import TextureBank

    config = SceneConfig(frames=10, height=64, width=96, points=8)
    return render_sample(1_234_567, config, TextureBank.builtin(), "golden").video.read()


def track(frames: np.ndarray) -> dict[str, np.ndarray]:
    """Return positions `(N, T, 2)` in pixels and confidences `(N, T)`, whole and streamed."""
    video = Video.from_array(frames)
    frame = np.array([0, 3, 5, 9, 6, 8, 0, 7])
    queries = Queries(np.column_stack([frame, Queries.grid(3, video.size).xy[: len(frame)]]))
    tracker = PointTracker.from_pretrained("mini", CUT)
    whole = tracker.track(video, queries)
    stream = tracker.stream(queries, video.size)
    parts = [stream.push(chunk) for chunk in video.chunks(PUSHED)]
    return {
        "xy": whole.xy,
        "confidence": whole.confidence,
        "stream_xy": np.concatenate([part.xy for part in parts], axis=1),
        "stream_confidence": np.concatenate([part.confidence for part in parts], axis=1),
    }


if __name__ == "__main__":
    clip = render()
    np.savez_compressed(GOLDEN, frames=clip, **track(clip))
    print(f"written: {GOLDEN}")
