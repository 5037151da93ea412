"""Tracks that were followed from each place of a point become one track through all of them.

Between two places there are a track forward from the earlier and one backward from the later. The
first is followed up to some frame, the second from there on. After the last place its own track may
give way, in the same manner, to one that came through that place from an earlier one, but found the
point again later on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

import numpy as np

from tracker.points.anchors import AnchoredPoint
from tracker.points.tracks import Tracks

SMOOTH = 4
"""Frames on each side over which a disagreement is made up for."""

WIDEST = 32.0
"""Disagreement that is as bad as any larger one, in 256ths of the frame's longer side."""

WORST = 16.0
"""What the widest disagreement weighs; a frame weighs minus the logarithm of its confidence."""

LEAST = 0.02
"""Confidences count as higher by so much: below it, one frame is as good as another."""

LEG = ("xy", "visible", "confidence")
"""The arrays of `Tracks` that a `Leg` has one point of."""


@dataclass(frozen=True)
class Leg:
    """Some frames of a track.

    Attributes:
        xy: `(T, 2) float32` pixels.
        visible: `(T,) bool`.
        confidence: `(T,) float32`.
    """

    xy: np.ndarray
    visible: np.ndarray
    confidence: np.ndarray

    @classmethod
    def of(cls, tracks: Tracks, row: int) -> Leg:
        """Return a track, not copied."""
        return cls(tracks.xy[row], tracks.visible[row], tracks.confidence[row])

    @classmethod
    def blank(cls, length: int) -> Leg:
        """Return frames of which nothing is known yet."""
        nothing = np.zeros(length, np.float32)
        return cls(np.zeros((length, 2), np.float32), nothing > 0, nothing)

    def part(self, frames: slice) -> Leg:
        """Return some of the frames, not copied."""
        return Leg(self.xy[frames], self.visible[frames], self.confidence[frames])

    def copied(self) -> Leg:
        """Return a copy, to be written to."""
        return Leg(self.xy.copy(), self.visible.copy(), self.confidence.copy())

    def write(self, frames: slice, part: Leg) -> None:
        """Replace some of the frames."""
        self.xy[frames], self.visible[frames] = part.xy, part.visible
        self.confidence[frames] = part.confidence


def join_tracks(found: Tracks, points: Sequence[AnchoredPoint]) -> Tracks:
    """Join the tracks of each point's places.

    Args:
        found: followed from every place of every point, in order.
        points: of which some have several places, or are hidden in some frames.

    Returns:
        A track for each point. It goes through all of its places; its query is the first of them.
        In frames where it is known to be hidden it is, with confidence 0.
    """
    legs, unit = each_leg(found), unit_of(found.size)
    tracks = [join_places(list(islice(legs, len(p.places))), p, unit) for p in points]
    names = tuple(point.name for point in points)
    xy, visible, confidence = stacked(tracks)
    return replace(
        found,
        xy=xy,
        visible=visible,
        queries=np.array([point.places[0] for point in points], np.float32),
        confidence=confidence,
        names=names if any(names) else None,
    )


def each_leg(tracks: Tracks) -> Iterator[Leg]:
    """Yield each track, not copied."""
    return (Leg.of(tracks, row) for row in range(len(tracks)))


def stacked(legs: Sequence[Leg]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return xy `(N, T, 2)`, visible `(N, T)` and confidence `(N, T)` of N whole tracks."""
    xy, visible, confidence = (np.stack([getattr(leg, name) for leg in legs]) for name in LEG)
    return xy, visible, confidence


def unit_of(size: tuple[int, int]) -> float:
    """Return the pixels in which disagreements are measured: a 256th of the longer side."""
    return max(size) / 256


def join_places(legs: Sequence[Leg], point: AnchoredPoint, unit: float) -> Leg:
    """Return the track of a point that was followed from each of its places."""
    track, times = legs[0].copied(), [t for t, _, _ in point.places]
    hidden = hidden_frames(point, len(track.visible))
    if len(legs) > 1:
        for number, (start, end) in enumerate(pairwise(times)):
            legs_beside = legs[number], legs[number + 1]
            _write_joined(track, slice(start, end + 1), legs_beside, hidden, unit)
        for frames, ends in (
            (slice(times[0], None, -1), (legs[0], legs[-1])),
            (slice(times[-1], None), (legs[-1], legs[0])),
        ):
            _write_joined(track, frames, ends, hidden, unit, is_open=True)
    return settled(track, point)


def insert_place(
    track: Leg,
    leg: Leg,
    t: int,
    beside: tuple[int | None, int | None],
    hidden: np.ndarray,
    unit: float,
) -> None:
    """Let a track go through one more place of its point, and elsewhere as before where it can.

    Args:
        track: through all other places; it is changed.
        leg: followed both ways from the new place.
        t: frame of the new place.
        beside: frames of the places before and after it; None where there is none.
        hidden: `(T,) bool`, frames in which the point is known not to be seen.
        unit: pixels in which disagreements are measured.
    """
    before, after = beside
    earlier = track.copied()
    if before is None:
        _write_joined(track, slice(t, None, -1), (leg, earlier), hidden, unit, is_open=True)
    else:
        _write_joined(track, slice(before, t + 1), (earlier, leg), hidden, unit)
    end = None if after is None else after + 1
    _write_joined(track, slice(t, end), (leg, earlier), hidden, unit, is_open=after is None)


def _write_joined(
    track: Leg,
    frames: slice,
    legs: tuple[Leg, Leg],
    hidden: np.ndarray,
    unit: float,
    is_open: bool = False,
) -> None:
    """Join whole tracks in some frames, as `join_legs` does, and write them into another."""
    ahead, back = (leg.part(frames) for leg in legs)
    track.write(frames, join_legs(ahead, back, hidden[frames], unit, is_open))


def settled(track: Leg, point: AnchoredPoint) -> Leg:
    """Return a track that goes through all places exactly, and is hidden where that is known.

    Args:
        track: it is changed where the point has several places, or is hidden.
        point: what is known.
    """
    if len(point.places) > 1:
        for t, x, y in point.places:
            track.xy[t] = x, y
    hidden = hidden_frames(point, len(track.visible))
    track.visible[hidden] = False
    track.confidence[hidden] = 0
    return track


def hidden_frames(point: AnchoredPoint, num_frames: int) -> np.ndarray:
    """Return `(T,) bool`, the frames in which a point is known not to be seen."""
    hidden = np.zeros(num_frames, bool)
    hidden[list(point.hidden)] = True
    return hidden


def join_legs(
    forward: Leg, backward: Leg, hidden: np.ndarray, unit: float, is_open: bool = False
) -> Leg:
    """Join two tracks of T frames: up to some frame it is the one, from there on the other.

    Where they do not agree, each gives way to the other over a few frames, the less the surer it
    is; no step is longer by more than what they disagree by in the frame where they meet.

    Args:
        forward: from a known place in the first frame.
        backward: from a known place in the last frame.
        hidden: `(T,) bool`, frames in which the point is known not to be seen.
        unit: pixels in which disagreements are measured.
        is_open: no place is known in the last frame; the first track may be the better one to the
            end.

    Returns:
        The joined track; what it says of visibility and confidence is that of the track it follows.
    """
    length = len(hidden)
    meeting = meeting_frame(forward, backward, hidden, unit, is_open)
    if meeting == length:
        return forward
    sure = forward.confidence[meeting], backward.confidence[meeting]
    share = float(sure[1] / sum(sure)) if sum(sure) > 0 else 0.5
    if meeting == 0:
        share = 0.0
    elif meeting == length - 1 and not is_open:
        share = 1.0
    gap = backward.xy[meeting] - forward.xy[meeting]
    away = np.abs(np.arange(length) - meeting)[:, None]
    rest = length if is_open else length - 1 - meeting
    before = 1 - away[:meeting] / min(SMOOTH, max(1, meeting))
    after = 1 - away[meeting:] / min(SMOOTH, max(1, rest))
    xy = np.concatenate(
        [
            forward.xy[:meeting] + share * gap * before.clip(0),
            backward.xy[meeting:] - (1 - share) * gap * after.clip(0),
        ]
    )
    # The known places stay as they are, wherever the tracks meet.
    xy[0] = forward.xy[0]
    if not is_open:
        xy[-1] = backward.xy[-1]
    split = max(1, meeting)
    return Leg(
        xy.astype(np.float32),
        np.concatenate([forward.visible[:split], backward.visible[split:]]),
        np.concatenate([forward.confidence[:split], backward.confidence[split:]]),
    )


def meeting_frame(
    forward: Leg, backward: Leg, hidden: np.ndarray, unit: float, is_open: bool
) -> int:
    """Return the frame from which on a track best gives way to another, or their number for none.

    There they agree, before it the first is sure, and from there on the other: what is weighed is
    how unlikely the frames are that are used, and by how much the two disagree where they meet. To
    be sure to see the point where it is hidden is as bad as not to be sure elsewhere.
    """
    doubts = [
        -np.log(np.where(hidden, 1 - leg.confidence, leg.confidence) + LEAST)
        for leg in (forward, backward)
    ]
    before = np.concatenate([[0], np.cumsum(doubts[0])])
    after = np.concatenate([np.cumsum(doubts[1][::-1])[::-1], [0]])
    apart = np.linalg.norm(backward.xy - forward.xy, axis=-1) / unit
    disagreement = np.append(WORST * np.minimum(apart / WIDEST, 1), 0 if is_open else np.inf)
    return int(np.argmin(before + after + disagreement))
