"""Photometric polish: sub-pixel precision from the query's own patch at the video's resolution.

The head sees a small frame, and optical flow drifts. Where a point still looks as it did when it
was asked for, aligning the picture round it with the query's own patch takes both errors away;
where it looks different, its position is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from tracker.flow import lucas_kanade
from tracker.tracks import Tracks
from tracker.video import Video

TILE = 64
"""Side of the patches that are aligned with the query's, in pixels of the video."""


@dataclass(frozen=True)
class PolishConfig:
    """When an alignment is believed; lengths are 256ths of the frame's longer side.

    Attributes:
        reach: how far it may move a point.
        round_trip: how far aligning back again may miss the start.
        difference: mean difference in grey levels that the aligned patches may have.
    """

    reach: float = 6.0
    round_trip: float = 1.0
    difference: float = 12.0


class Polisher:
    """Polishes positions frame by frame, in any order once a query's frame has been seen.

    Args:
        queries: `(N, 3)` as frame and pixels of the video.
        size: `(W, H)` of the video.
        config: when an alignment is believed.
    """

    def __init__(self, queries: np.ndarray, size: tuple[int, int], config: PolishConfig) -> None:
        self._frame = queries[:, 0].astype(int)
        self._query = np.asarray(queries[:, 1:], np.float32)
        self._config, self._unit = config, max(size) / 256
        self._tiles = np.zeros((len(queries), TILE, TILE), np.uint8)
        self._corner = np.zeros((len(queries), 2), np.int64)
        self._seen = np.zeros(len(queries), bool)

    def push(self, frame: np.ndarray, t: int, xy: np.ndarray) -> np.ndarray:
        """Return polished positions `(N, 2)` of `xy` in frame `t`.

        Points whose query frame has not been pushed yet keep their position.
        """
        image = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        polished = np.asarray(xy, np.float32).copy()
        rows = np.flatnonzero(self._seen & (self._frame != t))
        if rows.size:
            polished[rows] = self._align(image, polished[rows], rows)
        fresh = np.flatnonzero(self._frame == t)
        if fresh.size:
            polished[fresh] = self._query[fresh]
            self._tiles[fresh], self._corner[fresh] = cut_tiles(image, self._query[fresh])
            self._seen[fresh] = True
        return polished

    def _align(self, image: np.ndarray, xy: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Align with the queries' patches, where that can be believed.

        All patches are laid out as the tiles of two images, so that one call aligns them all.
        """
        tiles, corner = cut_tiles(image, xy)
        grid = tile_corners(len(rows))
        start = self._query[rows] - self._corner[rows] + grid
        guess = xy - corner + grid
        moved, missed = lucas_kanade(
            mosaic(self._tiles[rows]), mosaic(tiles), start, guess, levels=1
        )
        shift = moved - guess
        alike = patch_difference(self._tiles[rows], start - grid, tiles, moved - grid)
        good = (
            (np.linalg.norm(shift, axis=1) < self._config.reach * self._unit)
            & (missed < self._config.round_trip * self._unit)
            & (alike < self._config.difference)
        )
        return np.where(good[:, None], xy + shift, xy)


def cut_tiles(image: np.ndarray, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut tiles `(N, TILE, TILE)` round positions; beyond the image its border repeats.

    Returns:
        Tiles, and the image position `(N, 2)` of each tile's corner.
    """
    height, width = image.shape
    limit = np.array([width, height])
    centre = np.clip(np.nan_to_num(xy), -limit, 2 * limit).astype(np.int64)
    corner = centre - TILE // 2
    offsets = np.arange(TILE)
    rows = np.clip(corner[:, 1, None] + offsets, 0, height - 1)
    columns = np.clip(corner[:, 0, None] + offsets, 0, width - 1)
    return image[rows[:, :, None], columns[:, None, :]], corner


def tile_corners(count: int) -> np.ndarray:
    """Where `mosaic` puts the corner of each tile, `(N, 2)` pixels."""
    columns = int(np.ceil(np.sqrt(count)))
    index = np.arange(count)
    return np.stack([index % columns, index // columns], 1) * TILE


def mosaic(tiles: np.ndarray) -> np.ndarray:
    """Lay tiles `(N, TILE, TILE)` out as one image, row by row."""
    columns = int(np.ceil(np.sqrt(len(tiles))))
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * columns, TILE, TILE), tiles.dtype)
    sheet[: len(tiles)] = tiles
    return sheet.reshape(rows, columns, TILE, TILE).swapaxes(1, 2).reshape(rows * TILE, -1)


def patch_difference(
    first: np.ndarray, first_xy: np.ndarray, second: np.ndarray, second_xy: np.ndarray
) -> np.ndarray:
    """Mean absolute difference `(N,)` of the 21x21 patches round positions in tiles.

    Whole pixels are compared: the patches were aligned, and what is asked is whether they still
    show the same thing.
    """
    reach = np.arange(-10, 11)

    def cut(tiles: np.ndarray, xy: np.ndarray) -> np.ndarray:
        place = np.clip(np.nan_to_num(xy, posinf=0, neginf=0), 10, TILE - 11).astype(int)
        rows, columns = place[:, 1, None] + reach, place[:, 0, None] + reach
        index = np.arange(len(tiles))[:, None, None]
        return tiles[index, rows[:, :, None], columns[:, None, :]].astype(np.int16)

    return np.abs(cut(first, first_xy) - cut(second, second_xy)).mean(axis=(1, 2))


def polish_tracks(video: Video, tracks: Tracks, config: PolishConfig) -> Tracks:
    """Polish all tracks of a video, after each query's frame and then before it."""
    xy = tracks.xy.copy()
    frame = tracks.queries[:, 0].astype(int)
    first, last = int(frame.min()), int(frame.max())
    polisher = Polisher(tracks.queries, video.size, config)
    for t, picture in enumerate(video.frames(first), start=first):
        later = frame <= t
        xy[later, t] = polisher.push(picture, t, tracks.xy[:, t])[later]
    for t, picture in zip(range(last), video.frames(0), strict=False):
        earlier = frame > t
        xy[earlier, t] = polisher.push(picture, t, tracks.xy[:, t])[earlier]
    return replace(tracks, xy=xy)
