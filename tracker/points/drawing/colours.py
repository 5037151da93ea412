"""Colours by which points beside each other can be told apart."""

from __future__ import annotations

from collections import defaultdict, deque

import numpy as np

from tracker.points.drawn import DrawnTracks
from tracker.points.names import group_of

PALETTE = np.array(
    [
        *[(255, 70, 60), (255, 145, 30), (255, 215, 40), (180, 235, 40)],
        *[(60, 205, 70), (25, 215, 170), (50, 200, 255), (70, 125, 255)],
        *[(145, 95, 255), (220, 85, 255), (255, 85, 185)],
    ],
    np.uint8,
)
"""`(11, 3)` bright RGB colours in the order of their hue, which goes round. White is none of them:
it stands for doubt."""

REMEMBERED = 4
"""Points of a cell that the next ones differ from."""


def group_colours(count: int) -> np.ndarray:
    """Return a row of `PALETTE` for each of several groups of points, `(count, 3) uint8`.

    Neighbours in the list are unlike each other; after 11 the colours begin again.
    """
    return PALETTE[4 * np.arange(count) % len(PALETTE)]


def point_colours(tracks: DrawnTracks) -> np.ndarray:
    """Return a row of `PALETTE` for each point, `(N, 3) uint8`.

    Where all points belong to groups, and to several, such as `cat 1/7` and `cat 2/1`, each group
    has one colour. Else colours go by where tracks start: point by point, that one is taken that is
    least like those of the points beside it.
    """
    if not len(tracks):
        return np.empty((0, 3), np.uint8)
    groups = [group_of(name) for name in tracks.names or ("",)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    if all(groups) and len(numbers) > 1:
        return group_colours(len(numbers))[[numbers[name] for name in groups]]
    xy = np.nan_to_num(tracks.queries[:, 1:].astype(np.float64))
    # Somewhat larger than cells that would hold a point each, were the points spread evenly.
    cell = 1.2 * np.maximum(np.ptp(xy, axis=0), 1) / np.sqrt(len(xy))
    cells = np.floor((xy - xy.min(axis=0)) / cell).astype(int)
    number = np.arange(len(PALETTE))
    steps = np.abs(number[:, None] - number)
    likeness = 1.0 / (1 + np.minimum(steps, len(PALETTE) - steps)) ** 2
    taken: defaultdict[tuple[int, int], deque[int]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
    used = np.zeros(len(PALETTE))
    chosen = np.empty(len(xy), int)
    for point, (column, row) in enumerate(cells.tolist()):
        beside = [
            colour
            for i in (column - 1, column, column + 1)
            for j in (row - 1, row, row + 1)
            for colour in taken.get((i, j), ())
        ]
        # Of colours that are equally unlike, the one that few points have.
        dislike = likeness[beside].sum(axis=0) + 1e-3 * used / (point + 1)
        chosen[point] = dislike.argmin()
        taken[column, row].append(chosen[point])
        used[chosen[point]] += 1
    return PALETTE[chosen]
