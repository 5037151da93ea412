"""Sightings: an object in one frame, and which of several frames show the same one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tracker.points.geometry import inside_frame
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.registry import Tracker
from tracker.video.video import Video

FOLLOWED_GRID = 4
"""Rows and columns of the points that are followed to other frames where something was found."""

SAME = 0.5
"""Share of the points of one sighting that lie in another's mask, from which on both are one."""

SEEN = 0.25
"""Share of a sighting's points that must be visible in a frame, or they tell nothing of it."""


@dataclass(frozen=True, eq=False)
class Sighting:
    """Something that was found in one frame.

    Attributes:
        t: the frame.
        prompt: what it was found by.
        score: how well that fits, in 0..1.
        box: `(4,) float32` pixels: left, top, right and bottom.
        mask: `(H, W) bool`, not empty.
    """

    t: int
    prompt: str
    score: float
    box: np.ndarray
    mask: np.ndarray


def join_sightings(
    video: Video,
    sightings: Sequence[Sighting],
    tracker: Tracker,
    progress: Progress | bool | None = None,
) -> list[list[Sighting]]:
    """Sort out which sightings show the same object.

    A few points of each are followed, both ways, to the frames of the others.

    Args:
        video: whose frames they are.
        sightings: of one or several prompts.
        tracker: follows points.
        progress: as `tracker.track` takes it.

    Returns:
        The sightings of each object, in the order of frames; objects in the order of their first
        frames, those of one frame by their scores.

    Raises:
        UserError: the video cannot be decoded.
    """
    times = [sighting.t for sighting in sightings]
    grids = [Queries.inside(s.mask, FOLLOWED_GRID, s.t) for s in sightings]
    if len(set(times)) > 1:
        start, stop = min(times), max(times) + 1
        queries = Queries(Queries.concat(grids).txy - np.array([start, 0, 0], np.float32))
        tracks = tracker.track(video.select(start, stop), queries, progress)
        owners = np.repeat(np.arange(len(sightings)), [len(grid) for grid in grids])
        groups = group(sightings, agreement(sightings, owners, tracks, start))
    else:
        groups = [[number] for number in range(len(sightings))]
    found = [sorted((sightings[n] for n in group), key=lambda s: s.t) for group in groups]
    return sorted(found, key=lambda group: (group[0].t, -group[0].score))


def agreement(
    sightings: Sequence[Sighting], owners: np.ndarray, tracks: Tracks, start: int
) -> np.ndarray:
    """Return the share of each sighting's points that lie in each other one's mask.

    Args:
        sightings: S of them.
        owners: `(N,)` the number of each point's sighting.
        tracks: of the points.
        start: the frame that is the tracks' first.

    Returns:
        `(S, S)` in 0..1: of the points of one that are visible in the other's frame; 0 where too
        few are.
    """
    shares = np.zeros((len(sightings), len(sightings)))
    for column, other in enumerate(sightings):
        xy = tracks.xy[:, other.t - start]
        visible = tracks.visible[:, other.t - start] & inside_frame(xy, tracks.size)
        height, width = other.mask.shape
        # The right and bottom border belong to the last pixels.
        pixels = np.clip(np.where(visible[:, None], xy, 0).astype(int), 0, [width - 1, height - 1])
        hit = visible & other.mask[pixels[:, 1], pixels[:, 0]]
        for row in range(len(sightings)):
            seen = visible[owners == row]
            if seen.mean() >= SEEN:
                shares[row, column] = hit[owners == row].sum() / seen.sum()
    return shares


def group(sightings: Sequence[Sighting], shares: np.ndarray) -> list[list[int]]:
    """Group sightings that agree, the surest pairs first.

    Either of two may tell that they are one: points of a part of an object lie in the whole, while
    few of the whole lie in the part. Two of one frame or of two prompts are never one.

    Args:
        sightings: S of them.
        shares: `(S, S)`, as `agreement` returns them.

    Returns:
        Numbers of sightings; each is in one group.
    """
    sure = np.maximum(shares, shares.T)
    groups = {number: [number] for number in range(len(sightings))}
    pairs = [
        (-sure[a, b], a, b)
        for a, b in combinations(range(len(sightings)), 2)
        if sightings[a].prompt == sightings[b].prompt and sure[a, b] >= SAME
    ]
    for _, a, b in sorted(pairs):
        mine, other = groups[a], groups[b]
        frames = [sightings[number].t for number in (*mine, *other)]
        if mine is not other and len(set(frames)) == len(frames):
            mine += other
            groups |= dict.fromkeys(other, mine)
    unique = {id(members): members for members in groups.values()}
    return list(unique.values())
