"""Resident memory while a stream of frames is tracked: it must not grow with the video.

python benchmarks/streaming_memory.py --frames 2000 --points 64
"""

from __future__ import annotations

import argparse
import itertools
import time

import cv2
import numpy as np
import psutil

from tracker.devices import set_threads
from tracker.points.queries import Queries
from tracker.tracking.tracker import PointTracker

WINDOW = 200
"""Frames over which the largest reading counts."""


def main() -> None:
    """Track a stream and print the peak of every window."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--points", type=int, default=64)
    parser.add_argument("--push", type=int, default=8, help="frames handed over at a time")
    parser.add_argument("--size", type=int, nargs=2, default=(640, 360), metavar=("W", "H"))
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if args.frames <= 2 * WINDOW:
        parser.error(f"--frames must be more than {2 * WINDOW}")
    set_threads(args.threads)
    width, height = args.size
    # A picture that flow can follow, and that is back where it was with every other push.
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    there = np.stack([np.roll(picture, t, 1) for t in range(args.push)])
    chunks = itertools.cycle([there, there[::-1].copy()])
    tracker = PointTracker.from_pretrained("mini")
    queries = Queries.grid(round(args.points**0.5), (width, height))
    stream = tracker.stream(queries, (width, height))
    process = psutil.Process()
    # After a push, freed memory may or may not have gone back to the system yet: only the largest
    # reading of many tells whether more is held than before.
    peaks = [0.0] * -(-args.frames // WINDOW)
    started = time.perf_counter()
    while stream.num_frames < args.frames:
        window = stream.num_frames // WINDOW
        stream.push(next(chunks))
        peaks[window] = max(peaks[window], process.memory_info().rss / 2**20)
        if stream.num_frames // WINDOW > window:
            print(f"up to frame {stream.num_frames:5d}: {peaks[window]:.0f} MB", flush=True)
    seconds = time.perf_counter() - started
    first, rest = peaks[1], peaks[2:]
    print(
        f"frames {WINDOW}..{2 * WINDOW}: {first:.0f} MB at most; later: {max(rest):.0f} MB "
        f"({100 * (max(rest) / first - 1):+.1f} %); {stream.num_frames / seconds:.1f} frames/s"
    )


if __name__ == "__main__":
    main()
