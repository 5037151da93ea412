"""Points as a visitor puts them on a video: places in frames, names, colours, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tracker.errors import UserError
from tracker.points.anchors import AnchoredPoint
from tracker.points.drawing.colours import PALETTE
from tracker.points.names import check_names
from tracker.points.queries import Queries

MOST_STEPS = 200
"""Steps that can be undone."""

COLOUR_STEP = 4
"""Neighbours in the list of points have colours that are so many places apart in the palette."""

LONGEST_NAME = 60

Place = tuple[float, float] | None
"""x and y in pixels of the video; None says that the point is hidden."""

Marks = tuple[tuple[int, Place], ...]
"""What is known of a point: `(frame, place)` in the order of frames, each frame at most once."""


@dataclass(frozen=True)
class Point:
    """A point of the board.

    Attributes:
        number: that no other point of the board had, or will have.
        name: one line of text.
        colour: `#rrggbb`.
        marks: at least one of them a place.
    """

    number: int
    name: str
    colour: str
    marks: Marks

    @property
    def anchors(self) -> AnchoredPoint:
        """What the tracker is told."""
        return anchors_of(self.name, self.marks)


class Board:
    """The points of one video, changed step by step; each step can be undone.

    Args:
        size: `(W, H)` of the video in pixels.
        num_frames: of the video.
        most: points that the board holds.
    """

    def __init__(self, size: tuple[int, int], num_frames: int, most: int) -> None:
        self.size, self.num_frames, self.most = size, num_frames, most
        self.points: tuple[Point, ...] = ()
        self._earlier: list[tuple[Point, ...]] = []
        self._made = 0

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to go back."""
        return bool(self._earlier)

    def add(self, t: int, x: float, y: float) -> None:
        """Add a point that is at `x`, `y` in frame `t`.

        Raises:
            UserError: outside the video, or one point too many.
        """
        self.add_all(Queries([(t, x, y)]))

    def add_all(self, queries: Queries) -> None:
        """Add a point for each query, in one step.

        Raises:
            UserError: one is outside the video, or they are too many.
        """
        queries.check(self.size, self.num_frames)
        if len(self.points) + len(queries) > self.most:
            raise UserError(
                f"there would be {len(self.points) + len(queries)} points, and the page follows "
                f"{self.most}; add fewer, or delete some"
            )
        names = queries.names or ("",) * len(queries)
        rows = zip(queries.txy.tolist(), names, strict=True)
        self._step((*self.points, *(self._new(int(t), x, y, name) for (t, x, y), name in rows)))

    def place(self, number: int, t: int, x: float, y: float) -> None:
        """Say where a point is in a frame; what was known of that frame is replaced.

        Raises:
            UserError: no such point, or outside the video.
        """
        Queries([(t, x, y)]).check(self.size, self.num_frames)
        self._mark(number, t, (x, y))

    def hide(self, number: int, t: int) -> None:
        """Say that a point is hidden in a frame.

        Raises:
            UserError: no such point or frame, or it would be seen nowhere.
        """
        self._check_frame(t)
        self._mark(number, t, None)

    def unmark(self, number: int, t: int) -> None:
        """Forget what is known of a point in a frame; a point that is known nowhere goes.

        Raises:
            UserError: no such point.
        """
        point = self.point(number)
        marks = tuple(mark for mark in point.marks if mark[0] != t)
        if any(place is not None for _, place in marks):
            self._put(replace(point, marks=marks))
        else:
            self.delete(number)

    def delete(self, number: int) -> None:
        """Delete a point.

        Raises:
            UserError: no such point.
        """
        gone = self.point(number)
        self._step(tuple(point for point in self.points if point is not gone))

    def clear(self) -> None:
        """Delete all points, in one step."""
        self._step(())

    def rename(self, number: int, name: str) -> None:
        """Give a point another name.

        Raises:
            UserError: no such point, or not a line of text.
        """
        check_names([name], 1)
        if not 0 < len(name.strip()) <= LONGEST_NAME:
            raise UserError(f"a name has 1 to {LONGEST_NAME} letters; {name[:80]!r} has not")
        self._put(replace(self.point(number), name=name.strip()))

    def recolour(self, number: int, colour: str) -> None:
        """Give a point another colour, `#rrggbb`.

        Raises:
            UserError: no such point, or not a colour.
        """
        colour_rgb(colour)
        self._put(replace(self.point(number), colour=colour))

    def undo(self) -> None:
        """Take the last step back; nothing happens where there is none."""
        if self._earlier:
            self.points = self._earlier.pop()

    def point(self, number: int) -> Point:
        """Return a point by its number.

        Raises:
            UserError: no such point.
        """
        for point in self.points:
            if point.number == number:
                return point
        raise UserError(f"point {number} is not there any more; choose another")

    def _new(self, t: int, x: float, y: float, name: str) -> Point:
        self._made += 1
        colour = PALETTE[(self._made - 1) * COLOUR_STEP % len(PALETTE)]
        return Point(
            self._made,
            name or f"point {self._made}",
            "#" + bytes(colour.tolist()).hex(),
            ((t, (x, y)),),
        )

    def _mark(self, number: int, t: int, place: Place) -> None:
        point = self.point(number)
        marks = {**dict(point.marks), t: place}
        if all(known is None for known in marks.values()):
            raise UserError(f"{point.name} would be hidden wherever it is known; delete it instead")
        self._put(replace(point, marks=tuple(sorted(marks.items(), key=lambda mark: mark[0]))))

    def _check_frame(self, t: int) -> None:
        if not 0 <= t < self.num_frames:
            raise UserError(f"frame {t} is none of the video's, 0..{self.num_frames - 1}")

    def _put(self, changed: Point) -> None:
        self._step(
            tuple(changed if point.number == changed.number else point for point in self.points)
        )

    def _step(self, points: tuple[Point, ...]) -> None:
        self._earlier = [*self._earlier[1 - MOST_STEPS :], self.points]
        self.points = points


def anchors_of(name: str, marks: Marks) -> AnchoredPoint:
    """Return marks as the tracker is told of them."""
    places = tuple((t, *place) for t, place in marks if place is not None)
    return AnchoredPoint(name, places, tuple(t for t, place in marks if place is None))


def colour_rgb(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue in 0..255 of `#rrggbb`.

    Raises:
        UserError: it is written in another way.
    """
    try:
        if len(colour) != 7 or colour[0] != "#":
            raise ValueError(colour)
        red, green, blue = bytes.fromhex(colour[1:])
    except ValueError:
        raise UserError(f"colour {colour!r} is not #rrggbb such as #ff8800") from None
    return red, green, blue
