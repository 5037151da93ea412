"""Milliseconds to draw one frame of many tracks.

python benchmarks/drawing_speed.py --points 1000 --size 640 360
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np

from tracker.points.drawing import TRAIL_FRAMES, draw_tracks
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks


def wandering_tracks(points: int, frames: int, size: tuple[int, int]) -> Tracks:
    """Return tracks that wander over frames of `size` `(W, H)`, hidden in a tenth of them."""
    random = np.random.default_rng(0)
    start = random.uniform(0, size, (points, 1, 2))
    xy = start + random.normal(0, 2, (points, frames, 2)).cumsum(1)
    visible = random.random((points, frames)) > 0.1
    confidence = random.random((points, frames))
    queries = Queries.at_frame(start[:, 0], 0)
    return Tracks(xy, visible, queries.txy, size, confidence=confidence)


def main() -> None:
    """Draw the last frame again and again, and print the median time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 360), metavar=("W", "H"))
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    width, height = args.size
    tracks = wandering_tracks(args.points, TRAIL_FRAMES + 1, (width, height))
    frame = np.full((height, width, 3), 128, np.uint8)
    seconds = []
    for _ in range(args.repeats):
        started = time.perf_counter()
        draw_tracks(frame, tracks, TRAIL_FRAMES)
        seconds.append(time.perf_counter() - started)
    print(f"{args.points} points, {width}x{height}: {1000 * np.median(seconds):.1f} ms a frame")


if __name__ == "__main__":
    main()
