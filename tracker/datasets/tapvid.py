"""Reader for TAP-Vid's published files: DAVIS, Kinetics, RGB-Stacking and RoboTAP.

All of them are pickles of `{"video", "points" (N, T, 2) in 0..1 as x, y, "occluded" (N, T)}`: a
dict by video name (DAVIS, RoboTAP), a list (RGB-Stacking), or a folder of such files (the shards
of Kinetics and RoboTAP). Frames are one array, or a list of JPEG bytes. Unpickling admits NumPy
arrays and plain containers, nothing else, so a file cannot run code.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tracker.datasets.benchmark import Sample
from tracker.datasets.restricted_pickle import load_restricted
from tracker.errors import UserError
from tracker.files import UNREADABLE_IMAGE
from tracker.video.source import VideoInfo
from tracker.video.video import Video


class TapVid:
    """The videos of a TAP-Vid file or folder of shards; a shard is in memory at a time.

    Args:
        name: what to call the benchmark in tables.
        path: a `.pkl` file, or a folder of them.
        published_at: where the data is published, for the message when it is not on disk.

    Raises:
        UserError: nothing is there.
    """

    def __init__(self, name: str, path: str | Path | None, published_at: str = "") -> None:
        self.name = name
        where = f"; {name} is published at {published_at}" if published_at else ""
        if path is None:
            raise UserError(
                f"benchmark {name} needs benchmark.path=FILE_OR_FOLDER{where}: "
                "download it, unpack it and name its .pkl file or the folder of its shards"
            )
        self.path = Path(path)
        if not os.path.exists(self.path):
            raise UserError(
                f"benchmark {name}: {path} does not exist{where}: download it, unpack it "
                "and give benchmark.path=FILE_OR_FOLDER"
            )
        self._shards = sorted(self.path.glob("*.pkl")) if self.path.is_dir() else [self.path]
        if not self._shards:
            raise UserError(f"benchmark {name}: folder {path} holds no .pkl files{where}")

    def __iter__(self) -> Iterator[tuple[str, Callable[[], Sample]]]:
        for shard in self._shards:
            prefix = f"{shard.stem}-" if len(self._shards) > 1 else ""
            try:
                entries = _entries(load_restricted(shard), shard)
            except UserError as error:
                if not prefix:
                    raise
                # Told when the video is loaded, so that one bad shard does not lose the others.
                yield shard.stem, partial(_raise, error)
                continue
            for name, entry in entries:
                yield f"{prefix}{name}", partial(_sample, f"{prefix}{name}", entry)


def _entries(data: Any, path: Path) -> list[tuple[str, Any]]:
    if isinstance(data, dict):
        return [(str(name), entry) for name, entry in data.items()]
    if isinstance(data, list | tuple):
        return [(f"{index:04d}", entry) for index, entry in enumerate(data)]
    raise UserError(f"{path} holds a {type(data).__name__}; expected a dict or list of videos")


def _raise(error: UserError) -> Sample:
    raise error


def _sample(name: str, entry: Any) -> Sample:
    missing = [k for k in ("video", "points", "occluded") if k not in _keys(entry)]
    if missing:
        raise UserError(f"video {name} lacks {', '.join(missing)}")
    frames = entry["video"]
    if isinstance(frames, np.ndarray) and frames.dtype != object:
        video = Video.from_array(frames, name=name)
    else:
        video = Video(JpegSource(list(frames), name))
    points = np.asarray(entry["points"], np.float64)
    return Sample(video, points, np.asarray(entry["occluded"], bool))


def _keys(entry: Any) -> Any:
    return entry.keys() if isinstance(entry, dict) else ()


class JpegSource:
    """Frames kept as JPEG bytes and decoded as they are read.

    Raises:
        UserError: no frames, or one that is not an image of the first one's size.
    """

    def __init__(self, frames: list[bytes], name: str, fps: float = 24.0) -> None:
        if not frames or not all(isinstance(frame, bytes) for frame in frames):
            raise UserError(f"video {name} must hold its frames as one array or as JPEG bytes")
        self._frames, self._name = frames, name
        height, width = self._decode(0).shape[:2]
        self.info = VideoInfo(name, (width, height), len(frames), fps, codec="jpeg")

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1` as `(H, W, 3) uint8`."""
        for index in range(start, stop):
            frame = self._decode(index)
            if frame.shape[1::-1] != self.info.size:
                raise UserError(f"frame {index} of video {self._name} has another size")
            yield frame

    def _decode(self, index: int) -> np.ndarray:
        from PIL import Image

        try:
            return np.asarray(Image.open(io.BytesIO(self._frames[index])).convert("RGB"))
        except UNREADABLE_IMAGE as error:
            raise UserError(f"frame {index} of video {self._name} is not a JPEG image") from error
