"""How tracking many videos grows: with workers, with videos, and what one 720p clip takes.

    python benchmarks/bulk_growth.py                 # all of it
    python benchmarks/bulk_growth.py workers         # 1 against 2 workers: needs two free cores
    python benchmarks/bulk_growth.py memory          # 200 short videos in one process
    python benchmarks/bulk_growth.py clip            # seconds of a 720p clip; --device cuda

Needs the extra `bulk`, and psutil. Workers have one thread each. Rates leave out the start of Ray
and of the workers: they count from the moment at which each worker has finished its first video.
CPU seconds are those of all processes, Ray's too. They say, on a busy machine as well, how many
times as fast two workers can be: as often as what one video takes by one worker goes into half of
what it takes by two.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import psutil

from tracker.bulk.engine import Engine
from tracker.bulk.manifest import find_videos
from tracker.bulk.run import Run
from tracker.bulk.sink import Sink
from tracker.bulk.worker import BulkSettings
from tracker.points.queries import Queries
from tracker.video.video import Video
from tracker.video.writing import write_video


def grid(video: Video, file: Path | None) -> Queries:
    """Return the points of every video."""
    return Queries.grid(10, video.size)


SETTINGS = BulkSettings(grid, {"grid": 10}, threads=1)


def write_clips(folder: Path, count: int, frames: int, size: tuple[int, int]) -> Path:
    """Write videos of a picture that moves one pixel a frame."""
    folder.mkdir()
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), np.uint8)
        picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
        write_video(folder / f"{number}.mp4", (np.roll(picture, t, 1) for t in range(frames)), 24)
    return folder


def cpu_seconds() -> float:
    """Return what this process and those below it have computed."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def finished_at(
    clips: Path, place: Path, settings: BulkSettings, engine: Engine
) -> list[tuple[float, float]]:
    """Track the clips; return the moment at which each was finished, and CPU seconds till then."""
    rows = find_videos([str(clips)])
    with engine.running():
        run = Run(rows, settings, Sink.open(str(place), None, len(rows)), engine)
        moments = [(time.perf_counter(), cpu_seconds()) for _ in run.track()]
        run.finish()
    assert run.summary.failed == 0
    return moments


def workers(folder: Path, videos: int, settings: BulkSettings) -> None:
    """Compare one worker with two."""
    clips = write_clips(folder / "clips", videos, 16, (256, 256))
    rates, seconds = {}, {}
    for count in (1, 2):
        moments = finished_at(clips, folder / f"by-{count}", settings, Engine(count))
        (first, before), (last, after) = moments[count - 1], moments[-1]
        rates[count] = (len(moments) - count) / (last - first)
        seconds[count] = (after - before) / (len(moments) - count)
        print(
            f"{count} worker(s): {rates[count]:.3f} a second, {seconds[count]:.2f} CPU s each",
            flush=True,
        )
    print(f"two workers were {rates[2] / rates[1]:.2f} times as fast as one")
    print(f"on two free cores they are {2 * seconds[1] / seconds[2]:.2f} times as fast at most")


def memory(folder: Path, videos: int, settings: BulkSettings) -> None:
    """Follow the memory of one process over many videos."""
    clips = write_clips(folder / "clips", videos, 4, (64, 64))
    settings = replace(settings, changes={"inference": {"iterations": 1}})
    rows = find_videos([str(clips)])
    run = Run(rows, settings, Sink.open(str(folder / "out"), None, len(rows)), Engine())
    process = psutil.Process()
    for number, _ in enumerate(run.track(), start=1):
        if number % (videos // 10) == 0:
            print(f"after {number} videos: {process.memory_info().rss / 2**20:.0f} MiB", flush=True)


def clip(folder: Path, frames: int, settings: BulkSettings) -> None:
    """Measure one 720p clip of `frames` frames with 100 points, decoding and writing included.

    CPU seconds do not depend on what else the machine does; a GPU works in the others.
    """
    clips = write_clips(folder / "clips", 1, frames, (1280, 720))
    for tracker in ("lk", "vjepa"):
        chosen = replace(settings, tracker=tracker)
        sink = Sink.open(str(folder / tracker), None, 1)
        run = Run(find_videos([str(clips)]), chosen, sink, Engine())
        started, clock = time.process_time(), time.perf_counter()
        list(run.track())
        seconds, passed = time.process_time() - started, time.perf_counter() - clock
        size = sum(path.stat().st_size for path in (folder / tracker / "videos").iterdir())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        print(
            f"{tracker}: {seconds:.1f} CPU seconds for {frames} frames of 1280x720, 100 points: "
            f"{seconds / frames:.3f} a frame, in {passed:.1f} s; "
            f"rows of {size / 1000:.0f} kB; {memory:.0f} MiB at most",
            flush=True,
        )


PARTS = {"workers": workers, "memory": memory, "clip": clip}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", default=list(PARTS), choices=list(PARTS), metavar="PART"
    )
    parser.add_argument("--videos", type=int, default=24, help="of `workers`")
    parser.add_argument("--short", type=int, default=200, help="videos of `memory`")
    parser.add_argument("--frames", type=int, default=48, help="of `clip`")
    parser.add_argument("--device", default="cpu", help="of the tracker")
    args = parser.parse_args()
    settings = replace(SETTINGS, device=args.device)
    counts = {"workers": args.videos, "memory": args.short, "clip": args.frames}
    for part in args.parts:
        with TemporaryDirectory(prefix="bulk-growth-") as name:
            PARTS[part](Path(name), counts[part], settings)


if __name__ == "__main__":
    main()
