"""Tracks: where every query point is in every frame, and whether it is visible there."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from tracker.errors import UserError
from tracker.files import UNREADABLE, atomic_path
from tracker.points.geometry import inside_frame

CSV_COLUMNS = ["point", "frame", "x", "y", "visible", "confidence"]


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
    """

    xy: np.ndarray
    visible: np.ndarray
    queries: np.ndarray
    size: tuple[int, int]
    fps: float
    confidence: np.ndarray

    def __init__(
        self,
        xy: ArrayLike,
        visible: ArrayLike,
        queries: ArrayLike,
        size: tuple[int, int],
        fps: float = 24.0,
        confidence: ArrayLike | None = None,
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
        except UNREADABLE as error:
            raise UserError(f"{path} is not a tracks file ({error})") from error

    def _write_npz(self, path: Path) -> None:
        np.savez_compressed(
            path,
            xy=self.xy,
            visible=self.visible,
            confidence=self.confidence,
            queries=self.queries,
            size=np.array(self.size, np.int64),
            fps=np.float64(self.fps),
        )

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
            )

    def _write_csv(self, path: Path) -> None:
        """A comment line holds what belongs to no row; `pandas.read_csv(comment="#")` skips it."""
        queries = ";".join(",".join(map(repr, row)) for row in self.queries.tolist())
        with path.open("w", newline="", encoding="utf-8") as file:
            width, height = self.size
            shape = f"width={width} height={height} fps={self.fps!r} frames={self.num_frames}"
            file.write(f"# {shape} queries={queries}\n")
            writer = csv.writer(file)
            writer.writerow(CSV_COLUMNS)
            # float32 -> Python float -> repr is exact, so reading back is too.
            for point, (xy, visible, confidence) in enumerate(
                zip(self.xy.tolist(), self.visible.tolist(), self.confidence.tolist(), strict=True)
            ):
                for frame, ((x, y), is_visible, certainty) in enumerate(
                    zip(xy, visible, confidence, strict=True)
                ):
                    writer.writerow([point, frame, x, y, int(is_visible), certainty])

    @classmethod
    def _read_csv(cls, path: Path) -> Tracks:
        with path.open(newline="", encoding="utf-8") as file:
            header = dict(part.split("=", 1) for part in file.readline().lstrip("# ").split())
            if file.readline().strip().split(",") != CSV_COLUMNS:
                raise UserError(f"its columns are not {','.join(CSV_COLUMNS)}")
            rows = np.array([line.strip().split(",") for line in file], np.float64)
        queries = np.array(
            [q.split(",") for q in header["queries"].split(";") if q], np.float32
        ).reshape(-1, 3)
        rows = rows.reshape(len(queries), int(header["frames"]), len(CSV_COLUMNS))
        return cls(
            rows[..., 2:4].astype(np.float32),
            rows[..., 4] > 0,
            queries,
            (int(header["width"]), int(header["height"])),
            float(header["fps"]),
            rows[..., 5].astype(np.float32),
        )
