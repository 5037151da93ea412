"""CPU seconds of what is done most: clips, streams, repeated prompts, the command's start; memory.

    python benchmarks/speed_figures.py                    # all of it: some ten minutes
    python benchmarks/speed_figures.py clips session      # some of it
    python benchmarks/speed_figures.py clips --locotrack FOLDER --cotracker FOLDER   # and peers

The shipped tracker on one thread. CPU seconds count what this process computes, so that others on
the machine matter little; each row is run once, after a small clip that does not count.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from peers import PEERS, Peer

from tracker.devices import set_threads
from tracker.points.queries import Queries
from tracker.tracking.tracker import PointTracker
from tracker.video.video import Video

Row = tuple[str, str]
"""What was done, and what it took."""


def moving_picture(frames: int, width: int, height: int) -> Video:
    """Return a video of a picture that flow can follow; it comes back after a while."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    return Video.from_array(np.stack([np.roll(picture, t % width, 1) for t in range(frames)]))


def some_points(count: int, video: Video, shift: float = 0) -> Queries:
    """Return `count` points of a grid on the first frame, moved by `shift` pixels."""
    grid = Queries.grid(int(np.ceil(count**0.5)), video.size).txy[:count].copy()
    grid[:, 1:] += shift
    return Queries(grid)


def cpu_seconds(action: Callable[[], object]) -> float:
    """Return the CPU seconds that an action takes."""
    started = time.process_time()
    action()
    return time.process_time() - started


def clips(tracker: PointTracker, peers: dict[str, Peer]) -> Iterator[Row]:
    """Measure whole clips, each peer right after the tracker."""
    for frames, width, height, points in (
        (24, 256, 256, 256),
        (32, 854, 480, 20),
        (24, 256, 256, 1024),
    ):
        video = moving_picture(frames, width, height)
        queries = some_points(points, video)
        work = f"{frames} frames {width}x{height}, {points:,} points"
        ours = cpu_seconds(partial(tracker.track, video, queries))
        yield work, f"{ours:.1f} s"
        for name, track in peers.items():
            with torch.inference_mode():
                theirs = cpu_seconds(partial(track, video.read(), queries.txy))
            yield f"the same, {name}", f"{theirs:.1f} s; ours is {ours / theirs:.2f} of it"


def seconds_a_frame(tracker: PointTracker, push: int, frames: int) -> float:
    """Return the CPU seconds a frame of a stream of 320x240 with 64 points."""
    video = moving_picture(frames, 320, 240)
    stream = tracker.stream(some_points(64, video), video.size)

    def follow() -> None:
        for chunk in video.chunks(push):
            stream.push(chunk)

    return cpu_seconds(follow) / frames


def streams(tracker: PointTracker, peers: dict[str, Peer]) -> Iterator[Row]:
    """Measure a stream that gets one frame at a time against one that gets sixteen."""
    seconds = {
        push: seconds_a_frame(tracker, push, frames) for push, frames in ((16, 304), (1, 100))
    }
    for push, taken in seconds.items():
        yield f"stream 320x240, 64 points, push {push}", f"{taken:.3f} s a frame"
    yield "push 1 against push 16", f"{seconds[1] / seconds[16]:.2f} times"


def session(tracker: PointTracker, peers: dict[str, Peer]) -> Iterator[Row]:
    """Measure a second call for other points of the same video."""
    video = moving_picture(100, 320, 240)
    opened = tracker.open(video)
    first = cpu_seconds(lambda: opened.track(some_points(64, video)))
    second = cpu_seconds(lambda: opened.track(some_points(64, video, 5)))
    yield "session, 100 frames 320x240, 64 points, first", f"{first:.1f} s"
    yield "session, 64 other points", f"{second:.1f} s, {second / first:.2f} of the first"


def memory(tracker: PointTracker, peers: dict[str, Peer]) -> Iterator[Row]:
    """Measure the peak of this process over a long video whose frames take no memory."""
    one = moving_picture(1, 640, 360).read()[0]
    video = Video.from_array(np.broadcast_to(one, (2000, *one.shape)))
    tracker.track(video, some_points(64, video))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield "peak memory, 2,000 frames 640x360, 64 points", f"{peak:.0f} MB"


def start(tracker: PointTracker, peers: dict[str, Peer]) -> Iterator[Row]:
    """Measure the command's start, in a process of its own."""
    call = "from tracker.cli.main import main; main(['track', '--help'])"
    command = [sys.executable, "-c", call]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    yield "vjepa-tracker track --help", f"{seconds:.2f} s"


PARTS = {"clips": clips, "streams": streams, "session": session, "memory": memory, "start": start}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    for option, (name, _) in PEERS.items():
        parser.add_argument(f"--{option}", type=Path, help=f"a folder with the code of {name}")
    args = parser.parse_args()
    parts = args.parts
    if wrong := set(parts) - set(PARTS):
        parser.error(f"no part {wrong.pop()!r}; there are {', '.join(PARTS)}")
    set_threads(1)
    tracker = PointTracker.from_pretrained("mini")
    folders = {option: getattr(args, option) for option in PEERS}
    peers = {PEERS[key][0]: PEERS[key][1](path) for key, path in folders.items() if path}
    warm = moving_picture(4, 64, 64)
    tracker.track(warm, some_points(4, warm))
    print("| work | CPU seconds |\n| --- | ---: |")
    for name in parts or PARTS:
        for work, taken in PARTS[name](tracker, peers):
            print(f"| {work} | {taken} |", flush=True)


if __name__ == "__main__":
    main()
