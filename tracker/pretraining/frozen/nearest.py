"""Nearest neighbours in whole frames, and how near they are to the truth.

For the first visible query of each track, every later frame is searched for the vector most alike
the query's; the distance to the truth counts where the point is visible. Two describers are used
together by adding the second one's map of similarity, enlarged, to the first one's.
Shapes: N points, T frames, C channels, h x w cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tracker.pretraining.frozen.describers import Describer
from tracker.pretraining.frozen.videos import TrackedVideo
from tracker.progress import nested_bar

THRESHOLDS = (4, 8, 16, 32)
"""In 256ths of the frame."""

MOVED = 16
"""Points farther from where their query was, in 256ths of the frame, count as moved."""


@dataclass(frozen=True)
class Row:
    """Shares of point-frames found within each of `THRESHOLDS`.

    Attributes:
        everywhere: of all later visible point-frames.
        moved: of those that moved.
        counts: how many of either there are.
    """

    everywhere: tuple[float, ...]
    moved: tuple[float, ...]
    counts: tuple[int, int]


@dataclass(frozen=True)
class Way:
    """One line of the table.

    Attributes:
        name: of the line.
        first: what describes frames.
        second: what is added to it, enlarged to the size of the first one's map; None for nothing.
        weight: of the second one's similarity.
    """

    name: str
    first: Describer
    second: Describer | None = None
    weight: float = 1.0


def measure(ways: Sequence[Way], videos: Sequence[TrackedVideo]) -> dict[str, Row]:
    """Measure some ways on videos; each describer sees each video once.

    Returns:
        Rows by the ways' names.
    """
    distances: dict[str, list[tuple[Tensor, Tensor]]] = {way.name: [] for way in ways}
    for video in nested_bar(videos, "matching points", "videos"):
        known: dict[int, Tensor] = {}
        for way in ways:
            for describe in (way.first, way.second):
                if describe is not None and id(describe) not in known:
                    known[id(describe)] = similarity(describe(video.frames), video)
            alike = known[id(way.first)]
            if way.second is not None:
                other = enlarge(known[id(way.second)], (alike.shape[-2], alike.shape[-1]))
                alike = alike + way.weight * other
            distances[way.name].append((_errors(alike, video), _distance_moved(video)))
    return {name: _row(parts) for name, parts in distances.items()}


def similarity(maps: Tensor, video: TrackedVideo) -> Tensor:
    """Return `(N, T, h, w)`, the cosine between each point's query and every cell.

    The query's vector is read between the four cells about it.
    """
    unit = F.normalize(maps, dim=1)
    query = maps.new_zeros(len(video.query), maps.shape[1])
    for frame in video.query.unique().tolist():
        rows = video.query == frame
        places = (2 * video.query_xy[rows] - 1)[None, None]
        read = F.grid_sample(unit[frame][None], places, align_corners=False, padding_mode="border")
        query[rows] = read[0, :, 0].T
    return torch.einsum("nc,tchw->nthw", F.normalize(query, dim=1), unit)


def enlarge(alike: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge `(N, T, h, w)` to `size`, bicubic between the middles of cells."""
    return F.interpolate(alike, size, mode="bicubic", align_corners=False)


def _errors(alike: Tensor, video: TrackedVideo) -> Tensor:
    """Return `(N, T)` the distance of the best cell's middle from the truth, in 256ths."""
    height, width = alike.shape[-2:]
    best = alike.flatten(2).argmax(-1)
    found = torch.stack([(best % width + 0.5) / width, (best // width + 0.5) / height], -1)
    return (256 * (found - video.xy)).norm(dim=-1)


def _distance_moved(video: TrackedVideo) -> Tensor:
    """Return `(N, T)` how far each point is from its query, in 256ths; NaN where none counts."""
    later = torch.arange(video.visible.shape[1]) > video.query[:, None]
    way = (256 * (video.xy - video.query_xy[:, None])).norm(dim=-1)
    return torch.where(later & video.visible, way, torch.nan)


def _row(parts: list[tuple[Tensor, Tensor]]) -> Row:
    errors = torch.cat([e.flatten() for e, _ in parts])
    way = torch.cat([w.flatten() for _, w in parts])
    kinds = errors[~way.isnan()], errors[way > MOVED]
    everywhere, moved = (
        tuple(float((e <= limit).float().mean()) if len(e) else 0.0 for limit in THRESHOLDS)
        for e in kinds
    )
    return Row(everywhere, moved, (len(kinds[0]), len(kinds[1])))
