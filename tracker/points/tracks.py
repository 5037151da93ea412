"""Tracks: where every query point is in every frame, and whether it is visible there."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tracker.errors import UserError
from tracker.extras import needs
from tracker.files import UNREADABLE, atomic_path
from tracker.points.geometry import inside_frame
from tracker.points.names import Names, check_names, chosen_rows, points_named, take_names
from tracker.points.showing import ShownTracks
from tracker.points.storing import read_csv, read_npz, write_npz

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, init=False)
class Tracks(ShownTracks):
    """The paths of `N` points through `T` frames.

    Attributes:
        xy: `(N, T, 2) float32` raster pixels of a video of `size`.
        visible: `(N, T) bool`.
        queries: `(N, 3) float32`, the `(t, x, y)` that each track started from.
        size: `(W, H)` that the pixels refer to.
        fps: frames per second of the video.
        confidence: `(N, T) float32` in 0..1, of being visible and well placed; if not given, 1
            where visible, else 0.
        names: of the points, None where they have none.
        start: which frame of the whole video, from 0, frame 0 is.
        stride: every so manyth frame of the video was tracked; `fps` is that of the frames tracked.
    """

    xy: np.ndarray
    visible: np.ndarray
    queries: np.ndarray
    size: tuple[int, int]
    fps: float
    confidence: np.ndarray
    names: Names
    start: int
    stride: int

    def __init__(
        self,
        xy: ArrayLike,
        visible: ArrayLike,
        queries: ArrayLike,
        size: tuple[int, int],
        fps: float = 24.0,
        confidence: ArrayLike | None = None,
        names: Sequence[str] | np.ndarray | None = None,
        start: int = 0,
        stride: int = 1,
    ) -> None:
        try:
            xy = np.asarray(xy, np.float32)
            visible = np.asarray(visible, bool)
            confidence = np.asarray(visible if confidence is None else confidence, np.float32)
            queries = np.asarray(queries, np.float32)
            width, height = (int(side) for side in size)
            fps = float(fps)
            start, stride = int(start), int(stride)
        except (TypeError, ValueError) as error:
            raise UserError(f"tracks are arrays of numbers, a size and a rate ({error})") from error
        if min(width, height) < 1 or not fps > 0:
            raise UserError(f"tracks of a video of {width}x{height} at {fps} fps: use more than 0")
        if stride < 1:
            raise UserError(f"tracks of every {stride}th frame; a stride is 1 or more")
        if xy.ndim != 3 or xy.shape[2] != 2:
            raise UserError(f"xy has shape {xy.shape}, expected (N, T, 2)")
        for name, array, shape in [
            ("visible", visible, xy.shape[:2]),
            ("confidence", confidence, xy.shape[:2]),
            ("queries", queries, (xy.shape[0], 3)),
        ]:
            if array.shape != shape:
                raise UserError(f"{name} has shape {array.shape}, expected {shape}")
        for name, value in [
            ("xy", xy),
            ("visible", visible),
            ("confidence", confidence),
            ("queries", queries),
            ("size", (width, height)),
            ("fps", fps),
            ("names", check_names(names, len(xy))),
            ("start", start),
            ("stride", stride),
        ]:
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def num_frames(self) -> int:
        """T, the frames that the tracks run through."""
        return self.xy.shape[1]

    def __repr__(self) -> str:
        return (
            f"Tracks({len(self)} points, {self.num_frames} frames, {self.size[0]}x{self.size[1]})"
        )

    def __eq__(self, other: object) -> bool:
        """Exact equality; NaN positions equal each other."""
        return (
            isinstance(other, Tracks)
            and self.size == other.size
            and self.fps == other.fps
            and (self.start, self.stride) == (other.start, other.stride)
            and np.array_equal(self.xy, other.xy, equal_nan=True)
            and np.array_equal(self.visible, other.visible)
            and np.array_equal(self.confidence, other.confidence, equal_nan=True)
            and np.array_equal(self.queries, other.queries, equal_nan=True)
            and self.names == other.names
        )

    def __getitem__(self, index: int | str | slice | np.ndarray | list[int]) -> Tracks:
        """Return some of the tracks: one by its number, those of a name, or as NumPy chooses rows.

        tracks["left eye"].xy[0]

        Raises:
            IndexError: there is no such track.
            UserError: none has that name.
        """
        return self.select_points(chosen_rows(self.names, index))

    def __iter__(self) -> Iterator[Tracks]:
        """Yield each track by itself."""
        return (self[point] for point in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """Return `xy`; NumPy would take the tracks for a sequence of sequences."""
        return np.array(self.xy, dtype, copy=copy)

    def position(self, point: int | str, t: int) -> tuple[float, float]:
        """Return where a point is in frame `t`, in pixels; a guess where it is not `visible`.

        Args:
            point: its number, or a name that it alone has.
            t: frame number, from 0.

        Raises:
            UserError: there is no such point or frame, or several points have that name.
        """
        found = points_named(self.names, point) if isinstance(point, str) else [int(point)]
        if len(found) > 1:
            numbers = ", ".join(map(str, found))
            raise UserError(f"points {numbers} are called {point!r}; give one of the numbers")
        for value, count, name in ((found[0], len(self), "point"), (t, self.num_frames, "frame")):
            if not 0 <= value < count:
                raise UserError(f"{name} {value} is none of the tracks' 0..{count - 1}")
        x, y = self.xy[found[0], t].tolist()
        return x, y

    def select_points(self, index: slice | np.ndarray | list[int]) -> Tracks:
        """Return the tracks of some points, chosen as NumPy chooses rows."""
        return replace(
            self,
            xy=self.xy[index],
            visible=self.visible[index],
            queries=self.queries[index],
            confidence=self.confidence[index],
            names=take_names(self.names, index),
        )

    def select_frames(self, start: int, stop: int | None = None) -> Tracks:
        """Return frames `start..stop-1`; query times shift with them and may fall outside."""
        start, stop, _ = slice(start, stop).indices(self.num_frames)
        return replace(
            self,
            xy=self.xy[:, start:stop],
            visible=self.visible[:, start:stop],
            queries=self.queries - np.array([start, 0, 0], np.float32),
            confidence=self.confidence[:, start:stop],
            start=self.start + start * self.stride,
        )

    @classmethod
    def concat(cls, parts: Sequence[Tracks]) -> Tracks:
        """Join the tracks of consecutive frames, such as the pushes of a stream, in order.

        Args:
            parts: of the same points; each one's queries count from its own first frame.

        Returns:
            Tracks whose queries count from the first frame of the first part.

        Raises:
            UserError: there are none, or one is of other points or another video.
        """
        if not parts:
            raise UserError("there are no tracks to join; give at least one")
        first, start = parts[0], 0
        for number, part in enumerate(parts):
            queries = part.queries + np.array([start, 0, 0], np.float32)
            same_video = (part.size, part.fps) == (first.size, first.fps)
            if not same_video or part.names != first.names or len(part) != len(first):
                raise UserError(f"part {number} is {part}, of another video or points than {first}")
            if not np.allclose(queries, first.queries, equal_nan=True):
                raise UserError(
                    f"part {number} does not go on where the part before ends: its queries are "
                    "others, or count from another frame; give all parts in order"
                )
            start += part.num_frames
        return cls(
            np.concatenate([part.xy for part in parts], axis=1),
            np.concatenate([part.visible for part in parts], axis=1),
            first.queries,
            first.size,
            first.fps,
            np.concatenate([part.confidence for part in parts], axis=1),
            first.names,
            first.start,
            first.stride,
        )

    def rescaled(self, size: tuple[int, int]) -> Tracks:
        """Return the tracks in pixels of the video resized to `size` `(W, H)`."""
        factor = np.divide(size, self.size)
        return replace(
            self,
            xy=(self.xy * factor).astype(np.float32),
            queries=(self.queries * np.array([1, *factor])).astype(np.float32),
            size=size,
        )

    def shown_from(self, certainty: float) -> Tracks:
        """Return the same paths, visible inside the frame where `confidence` is above `certainty`.

        Few points that are right, or many of which more are wrong:

            tracks = tracker.track(video, queries)
            strict, lenient = tracks.shown_from(0.5), tracks.shown_from(0.1)
        """
        inside = inside_frame(self.xy, self.size)
        return replace(self, visible=(self.confidence > certainty) & inside)

    def to_tapvid(self) -> dict[str, np.ndarray]:
        """Return `{"points": (N, T, 2) in 0..1 as x, y, "occluded": (N, T) bool}`."""
        points = (self.xy / np.array(self.size, np.float64)).astype(np.float32)
        return {"points": points, "occluded": ~self.visible}

    @classmethod
    def from_tapvid(
        cls, entry: dict[str, np.ndarray], size: tuple[int, int], fps: float = 24.0
    ) -> Tracks:
        """Read TAP-Vid's layout; each track's query is its first visible point.

        Tracks that are never visible are kept, with a query at frame 0.
        """
        xy = (np.asarray(entry["points"], np.float64) * size).astype(np.float32)
        visible = ~np.asarray(entry["occluded"], bool)
        first = visible.argmax(axis=1)
        queries = np.column_stack([first, xy[np.arange(len(xy)), first]])
        return cls(xy, visible, queries, size, fps)

    def long_columns(self) -> dict[str, np.ndarray]:
        """Return the columns of a table with a row for each point and frame, points after another.

        `point` and `name` (empty where it has none), `frame` of the run, `video_frame` of the whole
        video, its `time` in seconds, `x`, `y`, `visible` and `confidence`.
        """
        count, length = self.visible.shape
        frame = np.tile(np.arange(length), count)
        names = np.array(self.names or [""] * count, object)
        video_frame = self.start + self.stride * frame
        return {
            "point": np.repeat(np.arange(count), length),
            "name": np.repeat(names, length),
            "frame": frame,
            "video_frame": video_frame,
            "time": video_frame / (self.fps * self.stride),
            "x": self.xy[..., 0].ravel(),
            "y": self.xy[..., 1].ravel(),
            "visible": self.visible.ravel(),
            "confidence": self.confidence.ravel(),
        }

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame with a row for each point and frame; see `long_columns`.

        tracks.to_pandas().pivot(index="frame", columns="name", values="x")

        Raises:
            UserError: pandas is not installed.
        """
        with needs("formats"):
            import pandas as pd
        return pd.DataFrame(self.long_columns())

    def save(
        self, path: str | Path, format: str | None = None, first_frame: int | None = None
    ) -> Path:
        """Write tracks to a file, all of it or nothing; one that is there is replaced.

        Args:
            path: `.npz` holds all arrays (no pickles), `.csv` a row for each point and frame; other
                suffixes are of other programs' formats, such as `.nk` or `.slp`.
            format: a name of `tracker.formats`, for suffixes that several formats have.
            first_frame: what that program calls the first frame of the whole video, such as 1001;
                None takes what is usual there.

        Returns:
            The path.

        Raises:
            UserError: no such format, or the file cannot be written.
        """
        path = Path(path)
        if format is None and path.suffix == ".npz":
            with atomic_path(path) as partial:
                write_npz(partial, vars(self))
            return path
        # By its name, for formats are made of tracks, not tracks of formats.
        registry = import_module("tracker.formats.registry")
        return registry.save_tracks(self, path, format, first_frame)

    @classmethod
    def load(cls, path: str | Path) -> Tracks:
        """Read what `save` wrote; equal to what was saved, bit for bit.

        Raises:
            UserError: missing, or not written by `save`.
        """
        path = Path(path)
        readers = {".npz": read_npz, ".csv": read_csv}
        if path.suffix not in readers:
            raise UserError(f"tracks are read from .npz or .csv, not {path.name}")
        if not path.is_file():
            raise UserError(f"tracks file {path} does not exist; check the path")
        try:
            return cls(**readers[path.suffix](path))
        except (*UNREADABLE, csv.Error) as error:
            raise UserError(f"{path} is not a tracks file ({error})") from error
