"""Query points: which points to follow, and from which frame.

A query is `(t, x, y)`: frame number and raster pixels of the video as it is read (pixel centres
lie at +0.5, the frame spans 0..W by 0..H). Points come from the user, a grid, a mask image, a
file or a corner detector; all end as one `Queries`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tracker.errors import UserError, log
from tracker.points.geometry import inside_frame
from tracker.points.masks import mask_objects
from tracker.points.names import Names, check_names, chosen_rows, join_names, take_names
from tracker.points.reading import read_queries
from tracker.points.rows import parse_rows, rows_of
from tracker.points.tracks import Tracks
from tracker.video.loading import load_video

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image
    from torch import Tensor

    from tracker.points.drawing import DrawingStyle
    from tracker.video.loading import VideoLike

    QueriesLike: TypeAlias = (
        "Queries | ArrayLike | Tensor | pd.DataFrame | Sequence[Sequence[float]]"
    )


@dataclass(frozen=True, eq=False, init=False)
class Queries:
    """Points to follow.

    Attributes:
        txy: `(N, 3) float32`, columns frame, x, y in pixels.
        names: of the points, which their tracks keep; None where they have none.

    Raises:
        UserError: rows that are not three finite numbers, or whose frame is not a whole number; or
            names that are not a line of text for each.
    """

    txy: np.ndarray
    names: Names

    def __init__(self, txy: ArrayLike, names: Sequence[str] | np.ndarray | None = None) -> None:
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
        object.__setattr__(self, "names", check_names(names, len(txy)))

    def __len__(self) -> int:
        return len(self.txy)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Queries)
            and np.array_equal(self.txy, other.txy)
            and self.names == other.names
        )

    def __getitem__(self, index: int | str | slice | np.ndarray | list[int]) -> Queries:
        """Return some of the queries: one by its number, those of a name, or as NumPy chooses rows.

        Raises:
            IndexError: there is no such query.
            UserError: none has that name.
        """
        rows = chosen_rows(self.names, index)
        return Queries(self.txy[rows], take_names(self.names, rows))

    def __iter__(self) -> Iterator[Queries]:
        """Yield each query by itself."""
        return (self[index] for index in range(len(self)))

    def __add__(self, other: Queries) -> Queries:
        """Return these queries and, after them, the others."""
        if not isinstance(other, Queries):
            return NotImplemented
        return Queries.concat([self, other])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """Return `txy`; NumPy would take the queries for a sequence of sequences."""
        return np.array(self.txy, dtype, copy=copy)

    def __repr__(self) -> str:
        return f"Queries({len(self)} points)"

    @classmethod
    def of(cls, queries: QueriesLike) -> Queries:
        """Return queries, whatever holds them.

        >>> Queries.of([(0, 12.5, 40)])
        Queries(1 points)

        Args:
            queries: `Queries`; an array, tensor or list of rows `(t, x, y)`; or a pandas frame with
                the columns `t`, `x`, `y` and, where points have names, `name`.

        Raises:
            UserError: it is none of these.
        """
        return queries if isinstance(queries, Queries) else cls(*rows_of(queries))

    @classmethod
    def concat(cls, parts: Sequence[Queries]) -> Queries:
        """Return the queries of all parts in order; points without a name get an empty one."""
        rows = [np.empty((0, 3), np.float32), *(part.txy for part in parts)]
        return cls(np.concatenate(rows), join_names([(part.names, len(part)) for part in parts]))

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

        Warns where all lie in the first pixel, as normalised coordinates do.

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
                f"0..{num_frames - 1}; t comes first"
            )
        outside = np.flatnonzero(~inside_frame(self.xy, size))
        if outside.size:
            raise UserError(
                f"query {outside[0]} is {_row(self.txy[outside[0]])}, outside the frame of "
                f"{width}x{height} pixels; {self._remedy(size)}"
            )
        if min(size) > 1 and self.xy.max() <= 1 and (self.xy % 1).any():
            log.warning(
                "all queries lie within 0..1, in the first pixel of %dx%d: if they are shares of "
                "width and height, give --normalized, or queries.scaled((1, 1), (%d, %d))",
                *(width, height, width, height),
            )
        return self

    def _remedy(self, size: tuple[int, int]) -> str:
        """Return what to do about points outside a frame of `size`."""
        if inside_frame(self.xy[:, ::-1], size).all():
            return "x and y look swapped: give t, x, y (TAP-Vid's files hold t, y, x)"
        return f"give x in 0..{size[0]} and y in 0..{size[1]}"

    def scaled(self, old: tuple[int, int], new: tuple[int, int]) -> Queries:
        """Return the queries of a video resized from `old` to `new`, both `(W, H)`.

        Coordinates in 0..1 are those of a video of size `(1, 1)`:

            queries = Queries(shares).scaled((1, 1), video.size)
        """
        factor = np.array([1, new[0] / old[0], new[1] / old[1]], np.float32)
        return Queries(self.txy * factor, self.names)

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
    def from_tracks(
        cls, tracks: Tracks, start: int, size: tuple[int, int], num_frames: int
    ) -> Queries:
        """Return queries that go on with the points of an earlier run.

        A point whose query lies in the new video keeps it. Another is taken up where it was seen,
        in the frame nearest to its query that the new video has. Points that were not seen in any
        of its frames, having left the frame before, cannot be found again: they are left out, and a
        warning says how many.

        Args:
            tracks: of the earlier run; scaled, where its video had another size.
            start: frame of the earlier run that is frame 0 of the new video.
            size: `(W, H)` of the new video in pixels.
            num_frames: of the new video.

        Raises:
            UserError: the runs have no frame in common, or no point was seen in one.
        """
        stop = min(start + num_frames, tracks.num_frames)
        if not 0 <= start < stop:
            raise UserError(
                f"frame {start} is none of the earlier tracks, which have frames "
                f"0..{tracks.num_frames - 1}; go on from one of them"
            )
        tracks = tracks.rescaled(size)
        rows, kept = [], []
        for point, (t, x, y) in enumerate(tracks.queries.tolist()):
            seen = tracks.visible[point, start:stop] & inside_frame(
                tracks.xy[point, start:stop], size
            )
            if start <= t < start + num_frames and inside_frame(np.array([x, y]), size):
                rows.append((t - start, x, y))
            elif seen.any():
                frames = np.flatnonzero(seen)
                nearest = frames[np.abs(frames + start - t).argmin()]
                rows.append((nearest, *tracks.xy[point, start + nearest]))
            else:
                continue
            kept.append(point)
        if not kept:
            raise UserError(f"no point was seen from frame {start} on; go on from an earlier frame")
        if len(kept) < len(tracks):
            missing = len(tracks) - len(kept)
            log.warning(
                "%d of %d points were not seen from frame %d on, and are left out",
                *(missing, len(tracks), start),
            )
        return cls(rows, take_names(tracks.names, kept))

    @classmethod
    def from_mask(
        cls, mask: str | Path | np.ndarray, size: tuple[int, int], n: int = 16, t: int = 0
    ) -> Queries:
        """Return the points of an `n` x `n` grid over an object's bounding box that lie inside it.

        Args:
            mask: of the video's size: an image file as `tracker.points.masks` describes them,
                `FILE:LABEL` for one object of it, or an `(H, W)` array, where non-zero is inside.
            size: `(W, H)` of the video in pixels.
            n: rows and columns of the grid.
            t: frame of the points.

        Returns:
            The points of each object; those of labelled objects are named, such as `object2/7`.

        Raises:
            UserError: missing, unreadable, of another size, or empty.
        """
        objects = mask_objects(mask, size)
        return cls.concat([cls.inside(part, n, t).grouped(name) for name, part in objects.items()])

    @classmethod
    def inside(cls, mask: np.ndarray, n: int, t: int = 0) -> Queries:
        """Return the points of an `n` x `n` grid over a mask's bounding box that lie inside it.

        Args:
            mask: `(H, W) bool`, not empty.
            n: rows and columns of the grid.
            t: frame of the points.
        """
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        corner = np.array([columns[0], rows[0]], np.float32)
        extent = np.array([columns[-1] + 1, rows[-1] + 1], np.float32) - corner
        xy = cls.grid(n, (1, 1)).xy * extent + corner
        kept = xy[mask[xy[:, 1].astype(int), xy[:, 0].astype(int)]]
        if len(kept) == 0:
            # A mask thinner than the grid's cells still deserves a point.
            first = columns[mask[rows[0], columns]][0]
            kept = np.array([[first + 0.5, rows[0] + 0.5]], np.float32)
        return cls.at_frame(kept, t)

    @classmethod
    def corners(
        cls, frame: np.ndarray, n: int, t: int = 0, mask: np.ndarray | None = None
    ) -> Queries:
        """Return up to `n` corners of a `(H, W, 3) uint8` frame, strongest first (Shi-Tomasi).

        Args:
            frame: where to look.
            n: how many.
            t: frame of the points.
            mask: `(H, W) bool`, to keep to.

        Raises:
            UserError: what is looked at is flat.
        """
        import cv2

        if n < 1:
            raise UserError(f"{n} corners are no points; give 1 or more")
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        where = np.ones(gray.shape, np.uint8) if mask is None else mask.astype(np.uint8)
        spacing = max(3.0, 0.5 * (float(where.sum()) / n) ** 0.5)
        found = cv2.goodFeaturesToTrack(
            gray, n, qualityLevel=0.005, minDistance=spacing, mask=where
        )
        if found is None:
            place = f"frame {t}" if mask is None else f"the masked part of frame {t}"
            raise UserError(f"{place} has no corners to track (it is flat); use a grid instead")
        # OpenCV counts from pixel centres.
        return cls.at_frame(found.reshape(-1, 2) + 0.5, t)

    def grouped(self, group: str) -> Queries:
        """Return the queries named `group/1`, `group/2` ...; as they are for an empty name."""
        if not group:
            return self
        return Queries(self.txy, [f"{group}/{number}" for number in range(1, len(self) + 1)])

    @classmethod
    def from_text(
        cls, video: VideoLike, prompts: str | Sequence[str], n: int = 8, **options: Any
    ) -> Queries:
        """Return an `n` x `n` grid in each object that `tracker.prompting.finding.find` finds."""
        # By its name, for what finds objects is made of queries, not queries of it.
        return import_module("tracker.prompting.finding").find(video, prompts, **options).queries(n)

    @classmethod
    def load(cls, path: str | Path, frames: range | None = None) -> Queries:
        """Read queries from a file; see `tracker.points.reading`.

        Args:
            path: `.csv`, `.json` or `.npz`, or known places of points in a file of another program.
            frames: which frames of the whole video are read; other programs number all of them.

        Raises:
            UserError: missing, malformed, or of another type.
        """
        rows, names = read_queries(path, frames)
        try:
            return cls(rows, names)
        except UserError as error:
            raise UserError(f"queries file {path}: {error}") from error

    @classmethod
    def parse(cls, points: list[str]) -> Queries:
        """Read queries written as `t,x,y` or `name=t,x,y`.

        >>> Queries.parse(["left eye=0,12.5,40"]).txy.tolist()
        [[0.0, 12.5, 40.0]]

        Raises:
            UserError: a text is neither.
        """
        return cls(*parse_rows(points))

    def plot(self, video: VideoLike, style: DrawingStyle | None = None) -> Image.Image:
        """Return a picture of the points on the frames that they are asked for in, up to 16.

        Args:
            video: whatever `load_video` takes.
            style: how points are drawn; None as by default.

        Raises:
            UserError: a query lies outside the video.
        """
        from PIL import Image

        from tracker.points.drawing import query_sheet

        video = load_video(video)
        self.check(video.size, len(video))
        frames = np.unique(self.t)
        xy = np.repeat(self.xy[:, None], len(frames), axis=1)
        places = Tracks(xy, self.t[:, None] == frames, self.txy, video.size, names=self.names)
        return Image.fromarray(query_sheet(video, places, frames.tolist(), style))


def _row(txy: np.ndarray) -> str:
    t, x, y = txy
    return f"(t={t:g}, x={x:g}, y={y:g})"
