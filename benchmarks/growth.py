"""How time and memory grow with frames, points and pixels, as a table and a plot.

    python benchmarks/growth.py frames --plot docs/growth_frames.svg
    python benchmarks/growth.py points pixels
    python benchmarks/growth.py frames --values 24 96

The shipped tracker on one thread, each value in a process of its own: CPU seconds, and the largest
memory of the process, libraries included. All of it takes an hour.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from speed_figures import cpu_seconds, moving_picture, some_points

from tracker.devices import set_threads
from tracker.tracking.tracker import PointTracker
from tracker.video.source import VideoInfo
from tracker.video.video import Video


@dataclass(frozen=True)
class Work:
    """A video to be tracked: frames, their size in pixels, and points of the first of them."""

    frames: int = 24
    width: int = 256
    height: int = 256
    points: int = 64


GROWTH: dict[str, dict[int, Work]] = {
    "frames": {n: Work(frames=n) for n in (24, 96, 384, 1000, 2000)},
    "points": {n: Work(points=n) for n in (1, 16, 64, 256, 1024, 4096, 10_000)},
    "pixels": {
        height: Work(width=width, height=height)
        for width, height in ((256, 256), (640, 360), (854, 480), (1280, 720), (1920, 1080))
    },
}
"""By what grows, and by the value that is told: frames, points, or lines of a frame."""


class RollingPicture:
    """A source of frames that are made when they are asked for, and take no memory."""

    def __init__(self, work: Work) -> None:
        self.info = VideoInfo("rolling", (work.width, work.height), work.frames, 24.0)
        self._picture = moving_picture(1, work.width, work.height).read()[0]

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1` as `(H, W, 3) uint8`."""
        for t in range(start, stop):
            yield np.roll(self._picture, t % self.info.size[0], 1)


def measure(work: Work) -> tuple[float, float]:
    """Return the CPU seconds of tracking, and this process's largest memory in MB."""
    set_threads(1)
    tracker = PointTracker.from_pretrained("mini")
    warm = moving_picture(4, 64, 64)
    tracker.track(warm, some_points(4, warm))
    video = Video(RollingPicture(work))
    seconds = cpu_seconds(partial(tracker.track, video, some_points(work.points, video)))
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def draw(path: Path, what: str, rows: list[tuple[int, float, float]]) -> None:
    """Write a plot of seconds and memory."""
    from matplotlib.figure import Figure

    values, seconds, memory = zip(*rows, strict=True)
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.loglog(values, seconds, "o-")
    left.set(xlabel=what, ylabel="CPU seconds")
    right.semilogx(values, memory, "o-")
    right.set(xlabel=what, ylabel="peak memory, MB", ylim=(0, None))
    figure.savefig(path)


def main() -> None:
    """Print a table for each thing that grows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("growth", nargs="+", choices=GROWTH, help="what grows")
    parser.add_argument("--values", type=int, nargs="+", help="instead of the usual ones")
    parser.add_argument("--plot", type=Path, help="where the plot of one table goes")
    args = parser.parse_args()
    if args.plot and len(args.growth) > 1:
        parser.error("--plot draws one table; name one thing that grows")
    fresh = multiprocessing.get_context("spawn")
    for what in args.growth:
        chosen = GROWTH[what]
        rows = []
        print(f"| {what} | CPU seconds | peak memory, MB |\n| ---: | ---: | ---: |")
        for value in args.values or chosen:
            if value not in chosen:
                parser.error(f"{what} {value} is not one of {', '.join(map(str, chosen))}")
            with fresh.Pool(1) as pool:
                seconds, memory = pool.apply(measure, (chosen[value],))
            rows.append((value, seconds, memory))
            print(f"| {value:,} | {seconds:.1f} | {memory:.0f} |", flush=True)
        if args.plot:
            draw(args.plot, what, rows)


if __name__ == "__main__":
    main()
