"""Videos with tracks to measure frozen matching on.

The truth is annotated (TAP-Vid files), rendered, or, for videos without any, what optical flow
finds on the way there and finds again on the way back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from tracker.datasets.benchmark import Benchmark, Sample
from tracker.datasets.rendered import ProceduralBenchmark
from tracker.datasets.tapvid import TapVid
from tracker.errors import UserError, log
from tracker.flow.fields import FlowBetweenFrames
from tracker.flow.sampling import sample
from tracker.scenes.motion import MotionConfig
from tracker.scenes.renderer import SceneConfig
from tracker.video.pixels import shrink_frames
from tracker.video.video import Video
from tracker.video.video_folder import open_video_folder

FAST = MotionConfig(min_speed=0.03, static=0.0)
"""Motion of rendered scenes: in short clips of slower ones hardly anything moves."""

LONGEST_SIDE = 1024
"""Larger frames are kept at this; smaller ones as they are, for each describer to resize."""

FLOW_SIDE = 512
"""Side of the squares that flow is computed on."""

SPACING = 16
"""Distance of the points that flow follows, in 256ths of the frame."""

ROUND_TRIP = 1.5
"""By how much the way back may miss the start, in 256ths of the frame."""

TEXTURE = 5.0
"""Least mean gradient, in gray levels a pixel, about a point: flow slides where all is smooth."""


@dataclass(frozen=True)
class TrackedVideo:
    """A video with N points.

    Attributes:
        name: for messages.
        frames: `(T, 3, H, W) uint8`.
        xy: `(N, T, 2) float32` as shares of the frame's width and height.
        visible: `(N, T) bool`.
        query: `(N,)` the frame in which each point is first visible.
    """

    name: str
    frames: Tensor
    xy: Tensor
    visible: Tensor
    query: Tensor

    @property
    def query_xy(self) -> Tensor:
        """`(N, 2)` where each point is in its query frame."""
        return self.xy[torch.arange(len(self.query)), self.query]


def annotated(path: str | Path) -> list[TrackedVideo]:
    """Read a TAP-Vid file or folder.

    Raises:
        UserError: it cannot be read.
    """
    return read_videos(TapVid("tapvid", path))


def rendered(scenes: int, frames: int = 16, points: int = 48) -> list[TrackedVideo]:
    """Render scenes of built-in pictures that no training reaches."""
    config = SceneConfig(frames=frames, points=points, motion=FAST)
    return read_videos(ProceduralBenchmark(scenes=scenes, config=config))


def read_videos(benchmark: Benchmark, limit: int | None = None) -> list[TrackedVideo]:
    """Read a benchmark's videos, or the first so many.

    Raises:
        UserError: one cannot be read.
    """
    return [_of_sample(name, load()) for name, load in islice(benchmark, limit)]


def _of_sample(name: str, sample: Sample) -> TrackedVideo:
    seen = ~sample.occluded.all(1)
    visible = torch.from_numpy(~sample.occluded[seen])
    return TrackedVideo(
        name,
        _small(sample.video, len(sample.video)),
        torch.from_numpy(sample.points[seen]).float(),
        visible,
        visible.float().argmax(1),
    )


def followed_by_flow(folder: str | Path, frames: int = 16, stride: int = 2) -> list[TrackedVideo]:
    """Follow a grid of points of the first frame through the videos of a folder.

    Args:
        folder: of videos.
        frames: of each video, at most.
        stride: of the video's frames, one is taken.

    Raises:
        UserError: no folder, or no readable video in it.
    """
    found = open_video_folder(folder)
    for path, reason in found.skipped.items():
        log.warning("skipped %s: %s", path, reason)
    if not found.videos:
        raise UserError(f"folder {folder} holds no videos that can be read; name one that does")
    videos = []
    for path, whole in found.videos.items():
        video = whole[::stride]
        pixels = video.read(0, min(frames, len(video)))
        gray = [
            cv2.cvtColor(
                cv2.resize(f, (FLOW_SIDE, FLOW_SIDE), interpolation=cv2.INTER_AREA),
                cv2.COLOR_RGB2GRAY,
            )
            for f in pixels
        ]
        xy, visible = follow_there_and_back(gray)
        videos.append(
            TrackedVideo(
                Path(path).name,
                _small(video, len(pixels)),
                torch.from_numpy(xy / FLOW_SIDE).float(),
                torch.from_numpy(visible),
                torch.zeros(len(xy), dtype=torch.int64),
            )
        )
    return [video for video in videos if len(video.query)]


def follow_there_and_back(gray: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Follow a grid of points of the first image through all of them.

    Args:
        gray: T of `(H, W) uint8`, squares.

    Returns:
        `xy (N, T, 2)` raster pixels, and `(N, T) bool` until where the way back leads home.
    """
    side = gray[0].shape[0]
    step = side * SPACING // 256
    ticks = np.arange(step // 2, side, step) + 0.5
    start = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2).astype(np.float32)
    start = start[_texture(gray[0], start) > TEXTURE]
    if not len(start):
        return np.zeros((0, len(gray), 2), np.float32), np.zeros((0, len(gray)), bool)
    flow = FlowBetweenFrames([np.ascontiguousarray(image) for image in gray], 0)
    fields = [(flow.field(t, t + 1), flow.field(t + 1, t)) for t in range(len(gray) - 1)]
    path = [start]
    good = [np.ones(len(start), bool)]
    for t, (there, _) in enumerate(fields):
        path.append(path[-1] + sample(there, path[-1]))
        home = path[-1]
        for _, back in fields[t::-1]:
            home = home + sample(back, home)
        missed = np.linalg.norm(home - start, axis=1) * 256 / side
        inside = ((path[-1] > 0) & (path[-1] < side)).all(1)
        good.append(good[-1] & inside & (missed < ROUND_TRIP))
    return np.stack(path, 1), np.stack(good, 1)


def _texture(gray: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Return `(N,)` the mean size of the gradient about points."""
    across, down = (cv2.Sobel(gray, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    mean = cv2.boxFilter(np.hypot(across, down), -1, (17, 17))
    return mean[xy[:, 1].astype(int), xy[:, 0].astype(int)]


def _small(video: Video, length: int) -> Tensor:
    """Return `(T, 3, ...) uint8` at the size that is kept."""
    width, height = video.size
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    size = round(height * scale), round(width * scale)
    small = shrink_frames(video.frames(0, length), size)[0]
    return (small * 255).round().to(torch.uint8)


Load = Callable[[], list[TrackedVideo]]


def named_sets(
    tapvid: str | None, scenes: int, videos: str | None
) -> Iterator[tuple[str, list[TrackedVideo]]]:
    """Yield the sets that options name, each as it is wanted."""
    loads: list[tuple[str, Load]] = []
    if tapvid:
        loads.append((f"TAP-Vid {Path(tapvid).name}", lambda: annotated(tapvid)))
    if videos:
        loads.append((f"flow on {Path(videos).name}", lambda: followed_by_flow(videos)))
    if scenes:
        loads.append((f"{scenes} rendered scenes", lambda: rendered(scenes)))
    if not loads:
        raise UserError("nothing to measure on: give --tapvid, --videos or --scenes")
    for name, load in loads:
        yield name, load()
