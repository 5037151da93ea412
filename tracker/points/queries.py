"""Query points: which points to follow, and from which frame.

A query is `(t, x, y)`: frame number and raster pixels of the video as it is read (pixel centres
lie at +0.5, the frame spans 0..W by 0..H). Points come from the user, a grid, a mask image, a
file or a corner detector; all end as one `Queries`.
"""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from tracker.errors import UserError
from tracker.files import UNREADABLE, UNREADABLE_IMAGE
from tracker.points.geometry import inside_frame


@dataclass(frozen=True, eq=False, init=False)
class Queries:
    """Points to follow.

    Attributes:
        txy: `(N, 3) float32`, columns frame, x, y in pixels.

    Raises:
        UserError: rows that are not three finite numbers, or whose frame is not a whole number.
    """

    txy: np.ndarray

    def __init__(self, txy: ArrayLike) -> None:
        try:
            txy = np.asarray(txy, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise UserError(f"queries are rows of the numbers t, x, y ({error})") from error
        if txy.ndim != 2 or txy.shape[1] != 3:
            raise UserError(f"queries have shape {txy.shape}; they must be rows of t, x, y")
        bad = np.flatnonzero(~np.isfinite(txy).all(axis=1))
        if bad.size:
            raise UserError(f"query {bad[0]} is {_row(txy[bad[0]])}; t, x and y must be numbers")
        bad = np.flatnonzero(txy[:, 0] != np.round(txy[:, 0]))
        if bad.size:
            raise UserError(f"query {bad[0]} is {_row(txy[bad[0]])}; t must be a whole number")
        object.__setattr__(self, "txy", txy)

    def __len__(self) -> int:
        return len(self.txy)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Queries) and np.array_equal(self.txy, other.txy)

    def __getitem__(self, index: slice | np.ndarray) -> Queries:
        return Queries(self.txy[index])

    @property
    def t(self) -> np.ndarray:
        """`(N,) int64` frame number of each query."""
        return self.txy[:, 0].astype(np.int64)

    @property
    def xy(self) -> np.ndarray:
        """`(N, 2) float32` pixels of each query."""
        return self.txy[:, 1:]

    def check(self, size: tuple[int, int], num_frames: int) -> Queries:
        """Return self where every query lies in a video of `size` `(W, H)` and `num_frames`.

        Raises:
            UserError: no queries, or one outside; the first such is named.
        """
        if len(self) == 0:
            raise UserError("there are no query points; give at least one")
        width, height = size
        late = np.flatnonzero((self.t < 0) | (self.t >= num_frames))
        if late.size:
            raise UserError(
                f"query {late[0]} is {_row(self.txy[late[0]])}, but the video has frames "
                f"0..{num_frames - 1}"
            )
        outside = np.flatnonzero(~inside_frame(self.xy, size))
        if outside.size:
            raise UserError(
                f"query {outside[0]} is {_row(self.txy[outside[0]])}, outside the frame of "
                f"{width}x{height} pixels"
            )
        return self

    def scaled(self, old: tuple[int, int], new: tuple[int, int]) -> Queries:
        """Return the queries of a video resized from `old` to `new`, both `(W, H)`."""
        return Queries(self.txy * np.array([1, new[0] / old[0], new[1] / old[1]], np.float32))

    @classmethod
    def grid(cls, n: int, size: tuple[int, int], t: int = 0) -> Queries:
        """Return `n` x `n` points at the centres of equal cells of frame `t`.

        >>> Queries.grid(2, size=(100, 60)).xy.tolist()
        [[25.0, 15.0], [75.0, 15.0], [25.0, 45.0], [75.0, 45.0]]
        """
        if n < 1:
            raise UserError(f"grid {n} holds no points; give 1 or more")
        width, height = size
        centres = (np.arange(n) + 0.5) / n
        y, x = np.meshgrid(centres * height, centres * width, indexing="ij")
        return cls.at_frame(np.stack([x.ravel(), y.ravel()], axis=1), t)

    @classmethod
    def at_frame(cls, xy: np.ndarray, t: int) -> Queries:
        """Return queries at the points `(N, 2)` of frame `t`."""
        xy = np.asarray(xy, np.float32).reshape(-1, 2)
        return cls(np.column_stack([np.full(len(xy), t, np.float32), xy]))

    @classmethod
    def from_mask(
        cls, mask: str | Path | np.ndarray, size: tuple[int, int], n: int = 16, t: int = 0
    ) -> Queries:
        """Return the points of an `n` x `n` grid over the mask's bounding box that lie inside it.

        Args:
            mask: of the video's size: an image file, whose white part (brighter than 127 of
                255) is inside, or an `(H, W)` array, where non-zero is inside.
            size: `(W, H)` of the video in pixels.
            n: rows and columns of the grid.
            t: frame of the points.

        Raises:
            UserError: unreadable, of another size, or empty.
        """
        inside = _read_mask(mask) if isinstance(mask, str | Path) else np.asarray(mask) > 0
        name = mask if isinstance(mask, str | Path) else "array"
        if inside.shape != (size[1], size[0]):
            raise UserError(
                f"mask {name} is {inside.shape[1]}x{inside.shape[0]} but the video is "
                f"{size[0]}x{size[1]}; resize the mask"
            )
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        if rows.size == 0:
            raise UserError(f"mask {name} has no white part; paint the object white")
        corner = np.array([columns[0], rows[0]], np.float32)
        extent = np.array([columns[-1] + 1, rows[-1] + 1], np.float32) - corner
        xy = cls.grid(n, (1, 1)).xy * extent + corner
        kept = xy[inside[xy[:, 1].astype(int), xy[:, 0].astype(int)]]
        if len(kept) == 0:
            # A mask thinner than the grid's cells still deserves a point.
            first = columns[inside[rows[0], columns]][0]
            kept = np.array([[first + 0.5, rows[0] + 0.5]], np.float32)
        return cls.at_frame(kept, t)

    @classmethod
    def corners(cls, frame: np.ndarray, n: int, t: int = 0) -> Queries:
        """Return up to `n` corners of a `(H, W, 3) uint8` frame, strongest first (Shi-Tomasi).

        Raises:
            UserError: the frame is flat.
        """
        import cv2

        if n < 1:
            raise UserError(f"{n} corners are no points; give 1 or more")
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        spacing = max(3.0, 0.5 * (gray.size / n) ** 0.5)
        found = cv2.goodFeaturesToTrack(gray, n, qualityLevel=0.005, minDistance=spacing)
        if found is None:
            raise UserError(f"frame {t} has no corners to track (it is flat); use a grid instead")
        # OpenCV counts from pixel centres.
        return cls.at_frame(found.reshape(-1, 2) + 0.5, t)

    @classmethod
    def load(cls, path: str | Path) -> Queries:
        """Read queries from a `.csv`, `.json` or `.npz` file.

        CSV has a header with columns `t`, `x`, `y` (others are ignored), JSON a list of
        `[t, x, y]` or of `{"t":, "x":, "y":}`, NPZ an array `queries` of shape `(N, 3)`; so the
        `tracks.npz` of an earlier run is itself a query file.

        Raises:
            UserError: missing, malformed, or of another type.
        """
        path = Path(path)
        readers = {".csv": _read_csv, ".json": _read_json, ".npz": _read_npz}
        if path.suffix.lower() not in readers:
            raise UserError(f"queries file {path} is not one of .csv, .json, .npz")
        if not os.path.isfile(path):  # False too for what cannot be a name, where Path raises
            raise UserError(f"queries file {path} does not exist; check the path")
        try:
            rows = readers[path.suffix.lower()](path)
        except UserError:
            raise
        except (*UNREADABLE, csv.Error) as error:
            raise UserError(
                f"queries file {path} cannot be read ({error}); it must hold t, x, y for each point"
            ) from error
        try:
            return cls(rows)
        except UserError as error:
            raise UserError(f"queries file {path}: {error}") from error

    @classmethod
    def parse(cls, points: list[str]) -> Queries:
        """Read queries written as `t,x,y`.

        >>> Queries.parse(["0,12.5,40"]).txy.tolist()
        [[0.0, 12.5, 40.0]]
        """
        rows = []
        for point in points:
            try:
                t, x, y = (float(part) for part in point.split(","))
            except ValueError:
                raise UserError(f"point {point!r} is not t,x,y such as 0,120.5,64") from None
            rows.append((t, x, y))
        return cls(np.array(rows, np.float32).reshape(-1, 3))


def _row(txy: np.ndarray) -> str:
    t, x, y = txy
    return f"(t={t:g}, x={x:g}, y={y:g})"


def _read_mask(path: str | Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            # Half of full brightness: lossy formats and soft brushes leave the black not quite 0.
            return np.asarray(image.convert("L")) > 127
    except UNREADABLE_IMAGE as error:
        raise UserError(f"mask {path} cannot be read as an image; give a PNG") from error


def _read_csv(path: Path) -> np.ndarray:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if not {"t", "x", "y"} <= set(reader.fieldnames or ()):
            raise UserError(f"queries file {path} needs a first line with the columns t,x,y")
        rows = []
        for row in reader:
            try:
                rows.append([float(row[column]) for column in ("t", "x", "y")])
            except (ValueError, TypeError):
                raise UserError(
                    f"line {reader.line_num} of {path} is not three numbers t,x,y"
                ) from None
    return np.array(rows, np.float32).reshape(-1, 3)


def _read_json(path: Path) -> np.ndarray:
    entries = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(entries, dict):
        entries = entries["queries"]
    rows = [[e["t"], e["x"], e["y"]] if isinstance(e, dict) else e for e in entries]
    return np.array(rows, np.float32).reshape(len(rows), 3)


def _read_npz(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as data:
        return np.asarray(data["queries"], np.float32)
