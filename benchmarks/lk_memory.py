"""Peak memory of `lk` on a long video: 100 points through 10,000 frames of 640x360.

    python benchmarks/lk_memory.py                    all queries on frame 0: one pass forwards
    python benchmarks/lk_memory.py --spread           queries on all frames: both passes
    python benchmarks/lk_memory.py --frames 1000      in less time

Tracking runs in a process of its own, so that writing the video does not count.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SIZE = (640, 360)
POINTS = 100


def moving_texture(frames: int, size: tuple[int, int] = SIZE) -> Iterator[np.ndarray]:
    """Yield a window that circles over a large smooth texture."""
    import cv2

    width, height = size
    margin = 60
    rng = np.random.default_rng(0)
    noise = rng.random((height + 2 * margin, width + 2 * margin, 3), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    texture = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    for t in range(frames):
        x = margin + round(margin * np.sin(t / 40))
        y = margin + round(margin * np.cos(t / 57))
        yield texture[y : y + height, x : x + width]


def track(path: Path, spread: bool) -> None:
    """Track and print the figures as JSON; the parent runs this in a fresh process."""
    from tracker.points.queries import Queries
    from tracker.registry import make_tracker
    from tracker.video.loading import load_video

    started = time.perf_counter()
    video = load_video(path)
    txy = Queries.grid(round(POINTS**0.5), video.size).txy
    if spread:
        txy[:, 0] = np.linspace(0, len(video) - 1, len(txy)).round()
    tracks = make_tracker("lk").track(video, Queries(txy))
    result = {
        "points": len(tracks),
        "frames": tracks.num_frames,
        "seconds": round(time.perf_counter() - started, 1),
        # Linux counts in KiB.
        "peak_resident_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
    }
    print(json.dumps(result))


def main() -> None:
    """Write a long video and track it in another process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--spread", action="store_true", help="queries on all frames")
    parser.add_argument("--video", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.video:
        track(args.video, args.spread)
        return
    from tracker.video.writing import write_video

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        write_video(path, moving_texture(args.frames), fps=30)
        command = [sys.executable, __file__, "--video", str(path)]
        subprocess.run(command + ["--spread"] * args.spread, check=True)


if __name__ == "__main__":
    main()
