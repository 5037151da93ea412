"""Query points: which points to follow, and from which frame.

A query is `(t, x, y)`: frame number and raster pixels of the video as it is read (pixel centres
lie at +0.5, the frame spans 0..W by 0..H). Points come from the user, a grid, a mask image, a
file or a corner detector; all end as one `Queries`. Rows of one name are anchors of one point.
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
from tracker.points.anchors import AnchoredPoint, gather_points
from tracker.points.geometry import inside_frame
from tracker.points.joining import join_tracks
from tracker.points.masks import mask_objects
from tracker.points.names import Names, check_names, chosen_rows, join_names, take_names
from tracker.points.placing import continued_rows, corner_places, grid_places, places_inside
from tracker.points.reading import read_queries
from tracker.points.rows import check_rows, parse_rows, row_text, rows_of
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

    Rows of the same name are one point that is known in several frames, whatever their order. Its
    track goes through all of its places.

    Attributes:
        txy: `(N, 3) float32`, columns frame, x, y in pixels.
        names: of the points, which their tracks keep; None where they have none.
        hidden: `(N,) bool`, rows that say that their point is not to be seen in that frame; x and y
            are NaN.

    Raises:
        UserError: rows that are not three finite numbers, or whose frame is not a whole number; or
            names that are not a line of text for each.
    """

    txy: np.ndarray
    names: Names
    hidden: np.ndarray

    def __init__(
        self,
        txy: ArrayLike,
        names: Sequence[str] | np.ndarray | None = None,
        hidden: ArrayLike | None = None,
    ) -> None:
        txy, hidden = check_rows(txy, hidden)
        object.__setattr__(self, "txy", txy)
        object.__setattr__(self, "names", check_names(names, len(txy)))
        object.__setattr__(self, "hidden", hidden)

    def __len__(self) -> int:
        return len(self.txy)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Queries)
            and np.array_equal(self.txy, other.txy, equal_nan=True)
            and self.names == other.names
            and np.array_equal(self.hidden, other.hidden)
        )

    def __getitem__(self, index: int | str | slice | np.ndarray | list[int]) -> Queries:
        """Return some of the queries: one by its number, those of a name, or as NumPy chooses rows.

        Raises:
            IndexError: there is no such query.
            UserError: none has that name.
        """
        rows = chosen_rows(self.names, index)
        return Queries(self.txy[rows], take_names(self.names, rows), self.hidden[rows])

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
        if not self.has_anchors:
            return f"Queries({len(self)} points)"
        return f"Queries({len(self.points)} points, {len(self)} anchors)"

    @classmethod
    def of(cls, queries: QueriesLike) -> Queries:
        """Return queries, whatever holds them.

        >>> Queries.of([(0, 12.5, 40)])
        Queries(1 points)

        Args:
            queries: `Queries`; an array, tensor or list of rows `(t, x, y)`; or a pandas frame with
                the columns `t`, `x`, `y` and, where points have names, `name`; a column `hidden`
                marks frames in which a point is not to be seen.

        Raises:
            UserError: it is none of these.
        """
        return queries if isinstance(queries, Queries) else cls(*rows_of(queries))

    @classmethod
    def concat(cls, parts: Sequence[Queries]) -> Queries:
        """Return the queries of all parts in order; points without a name get an empty one."""
        rows = [np.empty((0, 3), np.float32), *(part.txy for part in parts)]
        hidden = [np.empty(0, bool), *(part.hidden for part in parts)]
        names = join_names([(part.names, len(part)) for part in parts])
        return cls(np.concatenate(rows), names, np.concatenate(hidden))

    @property
    def t(self) -> np.ndarray:
        """`(N,) int64` frame number of each query."""
        return self.txy[:, 0].astype(np.int64)

    @property
    def xy(self) -> np.ndarray:
        """`(N, 2) float32` pixels of each query."""
        return self.txy[:, 1:]

    @property
    def has_anchors(self) -> bool:
        """Whether some point has several rows; else each row is a point by itself."""
        named = [name for name in self.names or () if name]
        return len(set(named)) < len(named) or bool(self.hidden.any())

    @property
    def points(self) -> tuple[AnchoredPoint, ...]:
        """What is known of each point, in the order of their first rows.

        Raises:
            UserError: a point is named twice in a frame, or hidden wherever it is named.
        """
        return gather_points(self.txy, self.names, self.hidden)

    @property
    def placed(self) -> Queries:
        """The places of all points, point after point, each in the order of frames.

        Raises:
            UserError: as `points`.
        """
        if not self.has_anchors:
            return self
        return Queries([place for point in self.points for place in point.places])

    def join(self, found: Tracks) -> Tracks:
        """Return a track for each point, through all of its places.

        Args:
            found: the tracks of `placed`.
        """
        return join_tracks(found, self.points) if self.has_anchors else found

    def check(self, size: tuple[int, int], num_frames: int) -> Queries:
        """Return self where every query lies in a video of `size` `(W, H)` and `num_frames`.

        Warns where all lie in the first pixel, as normalised coordinates do.

        Raises:
            UserError: no queries, or one outside, and the first such is named; or the rows of a
                point contradict each other.
        """
        if len(self) == 0:
            raise UserError("there are no query points; give at least one")
        width, height = size
        late = np.flatnonzero((self.t < 0) | (self.t >= num_frames))
        if late.size:
            raise UserError(
                f"{self._called(late[0])}, but the video has frames 0..{num_frames - 1}; t comes "
                "first"
            )
        outside = np.flatnonzero(~inside_frame(self.xy, size) & ~self.hidden)
        if outside.size:
            raise UserError(
                f"{self._called(outside[0])}, outside the frame of {width}x{height} pixels; "
                f"{self._remedy(size)}"
            )
        if self.has_anchors:
            gather_points(self.txy, self.names, self.hidden)
        xy = self.xy[~self.hidden]
        if min(size) > 1 and xy.max() <= 1 and (xy % 1).any():
            log.warning(
                "all queries lie within 0..1, in the first pixel of %dx%d: if they are shares of "
                "width and height, give --normalized, or queries.scaled((1, 1), (%d, %d))",
                *(width, height, width, height),
            )
        return self

    def _remedy(self, size: tuple[int, int]) -> str:
        """Return what to do about points outside a frame of `size`."""
        if (inside_frame(self.xy[:, ::-1], size) | self.hidden).all():
            return "x and y look swapped: give t, x, y (TAP-Vid's files hold t, y, x)"
        return f"give x in 0..{size[0]} and y in 0..{size[1]}"

    def _called(self, row: int) -> str:
        """Return how a row is told of in an error."""
        name = self.names and self.names[row]
        return f"query {row}{f' of {name!r}' if name else ''} is {row_text(self.txy[row])}"

    def scaled(self, old: tuple[int, int], new: tuple[int, int]) -> Queries:
        """Return the queries of a video resized from `old` to `new`, both `(W, H)`.

        Coordinates in 0..1 are those of a video of size `(1, 1)`:

            queries = Queries(shares).scaled((1, 1), video.size)
        """
        factor = np.array([1, new[0] / old[0], new[1] / old[1]], np.float32)
        return Queries(self.txy * factor, self.names, self.hidden)

    @classmethod
    def grid(cls, n: int, size: tuple[int, int], t: int = 0) -> Queries:
        """Return `n` x `n` points at the centres of equal cells of frame `t`.

        >>> Queries.grid(2, size=(100, 60)).xy.tolist()
        [[25.0, 15.0], [75.0, 15.0], [25.0, 45.0], [75.0, 45.0]]
        """
        return cls.at_frame(grid_places(n, size), t)

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
        rows, kept = continued_rows(tracks, start, size, num_frames)
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
        return cls.at_frame(places_inside(mask, n), t)

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
        return cls.at_frame(corner_places(frame, n, mask, t), t)

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
        rows = read_queries(path, frames)
        try:
            return cls(*rows)
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

        video, placed = load_video(video), self[~self.hidden]
        self.check(video.size, len(video))
        frames = np.unique(placed.t)
        xy = np.repeat(placed.xy[:, None], len(frames), axis=1)
        seen = placed.t[:, None] == frames
        places = Tracks(xy, seen, placed.txy, video.size, names=placed.names)
        return Image.fromarray(query_sheet(video, places, frames.tolist(), style))
