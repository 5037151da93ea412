"""Tracks: where every query point is in every frame, and whether it is visible there."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tracker.errors import UserError
from tracker.files import UNREADABLE, atomic_path
from tracker.points.geometry import inside_frame
from tracker.points.names import Names, check_names, take_names

CSV_COLUMNS = [
    *["point", "frame", "x", "y", "visible", "confidence"],
    *["query_frame", "query_x", "query_y", "width", "height", "fps"],
]
"""One row says all of its point and video, so that any program reads the file as a plain table; a
column `name` follows where points have names."""


@dataclass(frozen=True, eq=False, init=False)
class Tracks:
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
    """

    xy: np.ndarray
    visible: np.ndarray
    queries: np.ndarray
    size: tuple[int, int]
    fps: float
    confidence: np.ndarray
    names: Names

    def __init__(
        self,
        xy: ArrayLike,
        visible: ArrayLike,
        queries: ArrayLike,
        size: tuple[int, int],
        fps: float = 24.0,
        confidence: ArrayLike | None = None,
        names: Sequence[str] | np.ndarray | None = None,
    ) -> None:
        try:
            xy = np.asarray(xy, np.float32)
            visible = np.asarray(visible, bool)
            confidence = np.asarray(visible if confidence is None else confidence, np.float32)
            queries = np.asarray(queries, np.float32)
            width, height = (int(side) for side in size)
            fps = float(fps)
        except (TypeError, ValueError) as error:
            raise UserError(f"tracks are arrays of numbers, a size and a rate ({error})") from error
        if min(width, height) < 1 or not fps > 0:
            raise UserError(f"tracks of a video of {width}x{height} at {fps} fps: use more than 0")
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
            and np.array_equal(self.xy, other.xy, equal_nan=True)
            and np.array_equal(self.visible, other.visible)
            and np.array_equal(self.confidence, other.confidence, equal_nan=True)
            and np.array_equal(self.queries, other.queries, equal_nan=True)
            and self.names == other.names
        )

    def select_points(self, index: slice | np.ndarray | list[int]) -> Tracks:
        """Return the tracks of some points, chosen as NumPy chooses rows."""
        return Tracks(
            self.xy[index],
            self.visible[index],
            self.queries[index],
            self.size,
            self.fps,
            self.confidence[index],
            take_names(self.names, index),
        )

    def select_frames(self, start: int, stop: int | None = None) -> Tracks:
        """Return frames `start..stop-1`; query times shift with them and may fall outside."""
        start, stop, _ = slice(start, stop).indices(self.num_frames)
        return Tracks(
            self.xy[:, start:stop],
            self.visible[:, start:stop],
            self.queries - np.array([start, 0, 0], np.float32),
            self.size,
            self.fps,
            self.confidence[:, start:stop],
            self.names,
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
        )

    def rescaled(self, size: tuple[int, int]) -> Tracks:
        """Return the tracks in pixels of the video resized to `size` `(W, H)`."""
        factor = np.divide(size, self.size)
        return Tracks(
            (self.xy * factor).astype(np.float32),
            self.visible,
            (self.queries * np.array([1, *factor])).astype(np.float32),
            size,
            self.fps,
            self.confidence,
            self.names,
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

    def save(self, path: str | Path) -> Path:
        """Write `.npz` (all arrays, no pickles) or `.csv` (a row per point and frame).

        Raises:
            UserError: another suffix, or the file cannot be written.
        """
        path = Path(path)
        writers = {".npz": self._write_npz, ".csv": self._write_csv}
        if path.suffix not in writers:
            raise UserError(f"tracks can be saved as .npz or .csv, not {path.name}")
        with atomic_path(path) as partial:
            writers[path.suffix](partial)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Tracks:
        """Read what `save` wrote; equal to what was saved, bit for bit.

        Raises:
            UserError: missing, or not written by `save`.
        """
        path = Path(path)
        readers = {".npz": cls._read_npz, ".csv": cls._read_csv}
        if path.suffix not in readers:
            raise UserError(f"tracks are read from .npz or .csv, not {path.name}")
        if not path.is_file():
            raise UserError(f"tracks file {path} does not exist; check the path")
        try:
            return readers[path.suffix](path)
        except (*UNREADABLE, csv.Error) as error:
            raise UserError(f"{path} is not a tracks file ({error})") from error

    def _write_npz(self, path: Path) -> None:
        arrays: dict[str, Any] = {
            "xy": self.xy,
            "visible": self.visible,
            "confidence": self.confidence,
            "queries": self.queries,
            "size": np.array(self.size, np.int64),
            "fps": np.float64(self.fps),
        }
        if self.names is not None:
            arrays["names"] = np.array(self.names, np.str_)
        np.savez_compressed(path, **arrays)

    @classmethod
    def _read_npz(cls, path: Path) -> Tracks:
        with np.load(path, allow_pickle=False) as data:
            width, height = data["size"]
            return cls(
                data["xy"],
                data["visible"],
                data["queries"],
                (int(width), int(height)),
                float(data["fps"]),
                data["confidence"],
                data.get("names"),
            )

    def _write_csv(self, path: Path) -> None:
        """A row per point and frame, complete by itself: no line is anything but a row.

        Tracks without points or frames have rows, too, with an empty cell for what is not there.
        """
        # float32 -> Python float -> repr is exact, so reading back is too.
        queries, xy, confidence = (
            array.tolist() for array in (self.queries, self.xy, self.confidence)
        )
        visible = self.visible.astype(int).tolist()
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            names = self.names
            writer.writerow(CSV_COLUMNS if names is None else [*CSV_COLUMNS, "name"])
            points: Sequence[Any] = range(len(self)) or [""]
            for point in points:
                query = [""] * 3 if point == "" else queries[point]
                name = [] if names is None else [names[point] if point != "" else ""]
                for frame in range(self.num_frames) or [""]:
                    here = [""] * 4
                    if "" not in (point, frame):
                        seen, certainty = visible[point][frame], confidence[point][frame]
                        here = [*xy[point][frame], seen, certainty]
                    writer.writerow([point, frame, *here, *query, *self.size, self.fps, *name])

    @classmethod
    def _read_csv(cls, path: Path) -> Tracks:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            header = next(reader, None)
            if header not in (CSV_COLUMNS, [*CSV_COLUMNS, "name"]):
                raise UserError(f"its columns are not {','.join(CSV_COLUMNS)}")
            cells = list(reader)
        numbers = [[cell or "nan" for cell in row[: len(CSV_COLUMNS)]] for row in cells]
        rows = np.array(numbers, np.float64)
        # A cell is empty where there are no points, or no frames.
        count, length = (0 if np.isnan(last) else int(last) + 1 for last in rows[-1, :2])
        expected = np.indices((max(count, 1), max(length, 1))).reshape(2, -1).T
        if not np.array_equal(np.nan_to_num(rows[:, :2]), expected):
            raise UserError("its rows are not those of every point in every frame, in this order")
        paths = rows.reshape(max(count, 1), max(length, 1), -1)[:count, :length]
        width, height, fps = rows[0, 9:]
        names = None
        if header != CSV_COLUMNS:
            names = [row[-1] for row in cells[:: max(length, 1)][:count]]
        return cls(
            paths[..., 2:4].astype(np.float32),
            paths[..., 4] > 0,
            rows[:: max(length, 1), 6:9][:count].astype(np.float32),
            (int(width), int(height)),
            float(fps),
            paths[..., 5].astype(np.float32),
            names,
        )
