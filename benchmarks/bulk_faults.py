"""Kill drivers and workers at random moments, and compare every row with those of a quiet run.

    python benchmarks/bulk_faults.py                     # 20 kills, some ten minutes
    python benchmarks/bulk_faults.py --kills 4 --tracker lk

Rows must be the same but for the seconds that videos took: none missing, none twice, none half.
Needs the extra `bulk`, and psutil. A driver that is killed is started again, as a user would; the
last one is let finish. Where all videos are done before all kills are, another round begins.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import pyarrow as pa

from tracker.bulk.engine import Engine
from tracker.bulk.manifest import find_videos
from tracker.bulk.run import Run
from tracker.bulk.sink import Sink
from tracker.bulk.worker import BulkSettings
from tracker.points.queries import Queries
from tracker.video.video import Video
from tracker.video.writing import write_video

VIDEOS, FRAMES, SIDE = 24, 12, 64


def write_clips(folder: Path, seed: int = 0) -> Path:
    """Write tiny videos of noise that moves, and a file that is none."""
    folder.mkdir()
    noise = np.random.default_rng(seed)
    for number in range(VIDEOS):
        picture = noise.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        frames = (np.roll(picture, 2 * t, 1) for t in range(FRAMES))
        write_video(folder / f"{number}.mp4", frames, fps=24)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def grid(video: Video, file: Path | None) -> Queries:
    """Return the points of every video."""
    return Queries.grid(4, video.size)


def drive(clips: str, place: str, tracker: str, workers: int) -> None:
    """Track the clips into a place, as `vjepa-tracker track-many` does."""
    rows = find_videos([clips])
    settings = BulkSettings(grid, {"grid": 4}, tracker=tracker, threads=1)
    sink = Sink.open(place, "points", len(rows))
    # Random kills may hit one video more often than it may take its worker with it.
    engine = Engine(workers, deaths=1000)
    with engine.running():
        run = Run(rows, settings, sink, engine)
        for _ in run.track():
            print("done", flush=True)
        run.finish()


def start(clips: Path, place: Path, tracker: str, workers: int) -> subprocess.Popen[bytes]:
    """Start a driver in a process of its own."""
    command = [sys.executable, __file__, "--drive", str(clips), str(place)]
    return subprocess.Popen(
        [*command, "--tracker", tracker, "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def workers_of(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the actors of a driver's cluster."""
    found = []
    for process in psutil.Process(driver.pid).children(recursive=True):
        try:
            if process.cmdline() and process.cmdline()[0].startswith("ray::MapWorker"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def disturb(clips: Path, place: Path, kills: int, args: argparse.Namespace) -> dict[str, int]:
    """Track with at most so many kills; return how many drivers and workers were killed."""
    killed = {"drivers": 0, "workers": 0}
    driver = start(clips, place, args.tracker, 2)
    while sum(killed.values()) < kills:
        # From a moment after the start to one at which most videos are done.
        until = time.monotonic() + random.uniform(0, args.longest)
        want_worker = random.random() < 0.5
        while time.monotonic() < until and driver.poll() is None:
            time.sleep(0.02)
        while want_worker and driver.poll() is None and not (found := workers_of(driver)):
            time.sleep(0.1)
        if driver.poll() is not None:
            break
        if want_worker:
            random.choice(found).kill()
            killed["workers"] += 1
        else:
            driver.kill()
            driver.wait()
            killed["drivers"] += 1
            driver = start(clips, place, args.tracker, 2)
        print(f"  killed: {killed}", flush=True)
    if driver.wait():
        raise SystemExit("a driver that was left alone failed")
    return killed


def ordered(place: Path) -> pa.Table:
    """Return all rows in one order, without what may differ."""
    rows = Sink.open(str(place), None, 0).read().drop_columns(["seconds"])
    return rows.sort_by([("key", "ascending"), ("point", "ascending")]).combine_chunks()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--longest", type=float, default=25, help="seconds between two kills")
    parser.add_argument("--tracker", default="vjepa")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help=argparse.SUPPRESS)
    parser.add_argument("--drive", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.drive:
        drive(*args.drive, args.tracker, args.workers)
        return
    random.seed(args.seed)
    with TemporaryDirectory(prefix="bulk-faults-") as name:
        folder = Path(name)
        clips = write_clips(folder / "clips", args.seed)
        if start(clips, folder / "quiet", args.tracker, 1).wait():
            raise SystemExit("the quiet run failed")
        expected = ordered(folder / "quiet")
        left, rounds = args.kills, 0
        while left > 0:
            rounds += 1
            place = folder / f"disturbed-{rounds}"
            killed = disturb(clips, place, left, args)
            left -= sum(killed.values())
            found = ordered(place)
            same = found.equals(expected)
            files = sorted(path.name for path in (place / "videos").glob("[!.]*"))
            print(
                f"round {rounds}: {killed} killed; {len(found)} rows, expected {len(expected)}: "
                f"{'the same' if same else 'DIFFERENT'}; {len(files)} files beside the shards"
            )
            if not same or files:
                raise SystemExit(1)


if __name__ == "__main__":
    main()
