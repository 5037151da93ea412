"""What rendered scenes have in common with real video, and what not: one table of statistics.

    python benchmarks/scene_statistics.py --videos CLIPS MORE_CLIPS --textures PHOTOS
    python benchmarks/scene_statistics.py --videos CLIPS --data procedural_fast --textures PHOTOS

All are estimated from pixels alone, in the same way for both: optical flow of a grid of points
over some frames in a row, shrunk to 320 pixels. Lengths are 256ths of the frame's longer side.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from tracker.devices import set_threads
from tracker.errors import UserError, exit_on_user_error
from tracker.flow.fields import FlowBetweenFrames, gray_frames
from tracker.settings.composing import compose, instantiate
from tracker.video.video_folder import open_video_folder

SIDE = 320
GRID = 16
PERCENTILES = (10, 50, 90, 99)
ROWS = {
    "speed, a frame": 2,
    "change of velocity, a frame": 2,
    "round trip of flow": 2,
    "moved over the clip": 1,
    "log scale over the clip": 2,
    "texture: gray levels a pixel": 1,
    "noise: gray levels": 2,
    "sharpness: steepest 1 %, gray levels a pixel": 0,
    "change of brightness, gray levels a frame": 2,
    "edges at multiples of 8 pixels, against others": 2,
}
"""What is estimated, and how many digits it is told with."""


def statistics(frames: np.ndarray) -> dict[str, np.ndarray]:
    """Estimate the statistics of a clip `(T, H, W, 3) uint8`; values by row of the table."""
    edges = blocking(frames[0])
    longest = max(frames.shape[1:3])
    size = tuple(round(side * min(1, SIDE / longest)) for side in frames.shape[2:0:-1])
    gray = gray_frames(
        np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])
    )
    unit = 256 / max(size)
    steps, trips, path = follow_grid(gray)
    length = np.linalg.norm(steps, axis=-1) * unit
    turn = np.linalg.norm(np.diff(steps, axis=0), axis=-1) * unit
    slope = np.stack([np.hypot(*np.gradient(g.astype(np.float32))) for g in gray[:: len(gray) - 1]])
    texture = np.sqrt(cv2.cornerMinEigenVal(gray[0].astype(np.float32), 9))
    return {
        "speed, a frame": length,
        "change of velocity, a frame": turn,
        "round trip of flow": trips * unit,
        "moved over the clip": np.linalg.norm(path[-1] - path[0], axis=-1) * unit,
        "log scale over the clip": np.abs(log_scale(path[0], path[-1])),
        "texture: gray levels a pixel": texture,
        "noise: gray levels": np.array([noise(g) for g in gray]),
        "sharpness: steepest 1 %, gray levels a pixel": np.percentile(slope, 99, axis=(1, 2)),
        "change of brightness, gray levels a frame": np.abs(np.diff(gray.mean((1, 2)))),
        "edges at multiples of 8 pixels, against others": np.array([edges]),
    }


def follow_grid(gray: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Follow a grid of points from frame to frame.

    Returns:
        Steps `(T - 1, N, 2)` in pixels, errors of the round trip `(T - 1, N)`, and places
        `(T, N, 2)`.
    """
    height, width = gray.shape[1:]
    x, y = np.meshgrid(*((np.arange(GRID) + 0.5) / GRID * side for side in (width, height)))
    places = [np.stack([x.ravel(), y.ravel()], -1).astype(np.float32)]
    flow = FlowBetweenFrames(gray, finest_scale=0)
    trips = []
    for t in range(len(gray) - 1):
        moved = flow.lead(t, t + 1, places[-1])
        trips.append(np.linalg.norm(flow.lead(t + 1, t, moved) - places[-1], axis=-1))
        places.append(moved)
    path = np.stack(places)
    return np.diff(path, axis=0), np.stack(trips), path


def log_scale(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return by how much neighbours of a grid `(N, 2)` have come apart, as logarithms."""
    grids = [place.reshape(GRID, GRID, 2) for place in (before, after)]
    sides = [np.linalg.norm(np.diff(grid, axis=1), axis=-1) for grid in grids]
    return np.log(np.maximum(sides[1], 0.1) / sides[0])


def noise(gray: np.ndarray) -> float:
    """Return the deviation of the noise of an image (Immerkaer 1996, made robust by the median)."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = cv2.filter2D(gray.astype(np.float32), -1, kernel)
    return float(np.median(np.abs(response)) / 0.6745 / 6)


def blocking(frame: np.ndarray) -> float:
    """Return how strong steps between columns 7 and 8 of 8 are, against those between others."""
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    steps = np.abs(np.diff(gray, axis=1)).mean(0)
    border = np.arange(len(steps)) % 8 == 7
    return float(steps[border].mean() / max(steps[~border].mean(), 1e-6))


def real_clips(folders: list[Path], frames: int, most: int) -> Iterator[np.ndarray]:
    """Yield the middle of each video of some folders."""
    videos = [video for folder in folders for video in open_video_folder(folder).videos.values()]
    for video in tqdm(videos[:most], "real clips"):
        if len(video) >= frames:
            start = (len(video) - frames) // 2
            yield video.read(start, start + frames)


def rendered_clips(
    data: str, textures: Path | None, frames: int, count: int
) -> Iterator[np.ndarray]:
    """Yield scenes of one of `configs/data`."""
    changes = [f"data={data}", f"data.frames={frames}", f"data.textures={textures or 'null'}"]
    source = instantiate(compose("train_tracker", changes, None).data)
    for seed in tqdm(range(count), "rendered clips"):
        video = source.clips([2_000_000_000 + seed])[0][0]
        yield (video.permute(0, 2, 3, 1) * 255).round().byte().numpy()


def table(sets: dict[str, list[dict[str, np.ndarray]]]) -> str:
    """Return percentiles of each statistic for each set, as Markdown."""
    head = "/".join(map(str, PERCENTILES))
    lines = [f"| percentiles {head} | {' | '.join(sets)} |", "| --- |" + " --- |" * len(sets)]
    for row, digits in ROWS.items():
        cells = []
        for clips in sets.values():
            values = np.concatenate([clip[row].ravel() for clip in clips])
            values = np.percentile(values, PERCENTILES)
            cells.append(" / ".join(f"{value:.{digits}f}" for value in values))
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


@exit_on_user_error
def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--data", nargs="+", default=["procedural"], help="of configs/data")
    parser.add_argument("--textures", type=Path, metavar="DIR", help="photographs")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--clips", type=int, default=48, help="of each kind, at most")
    args = parser.parse_args()
    if args.frames < 3 or args.clips < 1:
        raise UserError(f"--frames {args.frames} --clips {args.clips}: give 3 and 1 or more")
    set_threads(1)
    sets = {"real": [statistics(c) for c in real_clips(args.videos, args.frames, args.clips)]}
    if not sets["real"]:
        raise UserError(f"no video of {args.frames} frames in {', '.join(map(str, args.videos))}")
    for data in args.data:
        clips = rendered_clips(data, args.textures, args.frames, args.clips)
        sets[data] = [statistics(clip) for clip in clips]
    print(table(sets))
    return 0


if __name__ == "__main__":
    sys.exit(main())
