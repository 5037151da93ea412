"""Anchors: known places of a point in several frames, and frames where it is known to be hidden.

Rows of queries that share a name are one point, whose track goes through all of its places.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tracker.errors import UserError
from tracker.points.names import Names

Place = tuple[int, float, float]
"""Frame, x and y in pixels."""


@dataclass(frozen=True)
class AnchoredPoint:
    """What is known of one point.

    Attributes:
        name: empty where it has none.
        places: where it is, in the order of frames, one a frame.
        hidden: frames in which it is not to be seen, in order; none of those of `places`.
    """

    name: str
    places: tuple[Place, ...]
    hidden: tuple[int, ...] = ()

    def placed(self, t: int, x: float, y: float) -> AnchoredPoint:
        """Return the point with a place in frame `t`; what was known of that frame is replaced."""
        others = (place for place in self.places if place[0] != t)
        hidden = tuple(frame for frame in self.hidden if frame != t)
        return AnchoredPoint(self.name, tuple(sorted([*others, (t, x, y)])), hidden)

    def hidden_in(self, frames: Iterable[int]) -> AnchoredPoint:
        """Return the point hidden in frames; what was known of them is replaced.

        Raises:
            UserError: no place would be left.
        """
        hidden = {*self.hidden, *frames}
        places = tuple(place for place in self.places if place[0] not in hidden)
        if not places:
            raise UserError(
                f"{_called(self.name)} would be hidden wherever its place is known; give it "
                "another place first"
            )
        return AnchoredPoint(self.name, places, tuple(sorted(hidden)))

    def within(self, frames: range) -> AnchoredPoint:
        """Return the point with what is known of some frames alone."""
        return AnchoredPoint(
            self.name,
            tuple(place for place in self.places if place[0] in frames),
            tuple(t for t in self.hidden if t in frames),
        )

    def reaches(self, frames: range) -> list[tuple[int, int]]:
        """Return how far it is to be followed from each of its places.

        Args:
            frames: in which its track is wanted, all places among them.

        Returns:
            First and last frame for each: from the place before it to the one after it; all
            `frames` for the first and the last place, which may help each other out.
        """
        times = [t for t, _, _ in self.places]
        whole = (frames[0], frames[-1])
        between = list(zip(times, times[2:], strict=False))
        return [whole, *between, whole] if len(times) > 1 else [whole]

    def beside(self, t: int) -> tuple[int | None, int | None]:
        """Return the frames of the nearest places before and after frame `t`; None for none."""
        times = [frame for frame, _, _ in self.places]
        before = max((frame for frame in times if frame < t), default=None)
        return before, min((frame for frame in times if frame > t), default=None)

    def adds_to(self, other: AnchoredPoint) -> bool:
        """Return whether all that is known of `other` still is.

        A frame in which it was hidden may have a place.
        """
        hidden = {*other.hidden} - {t for t, _, _ in self.places}
        return {*other.places} <= {*self.places} and hidden <= {*self.hidden}


def changed_frames(old: AnchoredPoint, new: AnchoredPoint, num_frames: int) -> range:
    """Return in which frames a track may be another, now that other things are known of its point.

    Args:
        old: what was known.
        new: what is known now.
        num_frames: of the video.

    Returns:
        The frames between the nearest places that are known as before; none where nothing changed.
    """
    changed = {t for t, _, _ in {*old.places} ^ {*new.places}} | ({*old.hidden} ^ {*new.hidden})
    if not changed:
        return range(0)
    kept = [t for t, _, _ in {*old.places} & {*new.places}]
    first = max((t + 1 for t in kept if t < min(changed)), default=0)
    stop = min((t for t in kept if t > max(changed)), default=num_frames)
    return range(first, stop)


def gather_points(txy: np.ndarray, names: Names, hidden: np.ndarray) -> tuple[AnchoredPoint, ...]:
    """Put the rows of each point together, points in the order of their first rows.

    Args:
        txy: `(N, 3)` frames and pixels.
        names: of the rows; a row without a name is a point by itself.
        hidden: `(N,) bool`, rows that say that their point is not to be seen.

    Raises:
        UserError: two rows of a point are of the same frame, or all its rows say that it is hidden.
    """
    rows_of: dict[str | int, list[int]] = {}
    for row, name in enumerate(names or ("",) * len(txy)):
        rows_of.setdefault(name or row, []).append(row)
    points, rows = [], txy.tolist()
    for key, members in rows_of.items():
        name = key if isinstance(key, str) else ""
        _check_frames(name, [int(rows[row][0]) for row in members], hidden[members])
        places = sorted((int(rows[i][0]), *rows[i][1:]) for i in members if not hidden[i])
        unseen = sorted(int(rows[i][0]) for i in members if hidden[i])
        points.append(AnchoredPoint(name, tuple(places), tuple(unseen)))
    return tuple(points)


def _check_frames(name: str, frames: Sequence[int], hidden: np.ndarray) -> None:
    """Check the rows of one point against each other.

    Raises:
        UserError: two of them are of the same frame, or all say that it is hidden.
    """
    if hidden.all():
        raise UserError(
            f"{_called(name)} is hidden in each frame that is named (frame {frames[0]}); say where "
            "it is in at least one"
        )
    if len(set(frames)) < len(frames):
        twice = next(t for place, t in enumerate(frames) if t in frames[:place])
        both = [hidden[place] for place, t in enumerate(frames) if t == twice]
        trouble = "both hidden and placed" if len(set(both)) > 1 else "named twice"
        raise UserError(
            f"{_called(name)} is {trouble} in frame {twice}; keep one of the rows, or give points "
            "different names"
        )


def _called(name: str) -> str:
    return f"point {name!r}" if name else "a point without a name"
