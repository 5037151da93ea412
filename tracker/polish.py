"""Photometric polish: sub-pixel precision from the video's own resolution.

The head finds points again after any motion or occlusion, but works on a small frame. Optical flow
on the full frame is precise, but once lost stays lost. So flow is followed from frame to frame,
and taken wherever it passes its round-trip check and agrees with the head; elsewhere the head's
position is kept, and flow starts again from there. Flow that was started again from a position
slightly off stays off, so each position is then aligned with the query's own patch, where that
still looks the same.
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
    """When flow is believed; lengths are 256ths of the frame's longer side.

    Attributes:
        agreement: how far flow may lie from the head's position.
        round_trip: how far flow from frame to frame may miss on its way back.
        query_round_trip: the same for the alignment with the query's patch.
        query_difference: mean difference in grey levels that the aligned patches may have.
    """

    agreement: float = 6.0
    round_trip: float = 3.0
    query_round_trip: float = 1.0
    query_difference: float = 12.0


class Polisher:
    """Polishes positions frame by frame, in one direction of time.

    Args:
        queries: `(N, 3)` as frame and pixels of the video.
        size: `(W, H)` of the video.
        config: when flow is believed.
    """

    def __init__(self, queries: np.ndarray, size: tuple[int, int], config: PolishConfig) -> None:
        self._frame = queries[:, 0].astype(int)
        self._query = np.asarray(queries[:, 1:], np.float32)
        self._config, self._unit = config, max(size) / 256
        self._tiles = np.zeros((len(queries), TILE, TILE), np.uint8)
        self._corner = np.zeros((len(queries), 2), np.int64)
        self._started = np.zeros(len(queries), bool)
        self._image: np.ndarray | None = None
        self._xy = self._query.copy()

    def push(self, frame: np.ndarray, t: int, xy: np.ndarray) -> np.ndarray:
        """Return polished positions `(N, 2)` of the head's `xy` in frame `t`.

        Frames must come in the order of their direction. Points whose query has not come yet keep
        the head's position.
        """
        image = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        polished = np.asarray(xy, np.float32).copy()
        followed = np.flatnonzero(self._started)
        if followed.size:
            polished[followed] = self._follow(image, polished[followed], followed)
            polished[followed] = self._align(image, polished[followed], followed)
        fresh = np.flatnonzero(self._frame == t)
        if fresh.size:
            polished[fresh] = self._query[fresh]
            self._tiles[fresh], self._corner[fresh] = cut_tiles(image, self._query[fresh])
            self._started[fresh] = True
        self._image, self._xy = image, polished
        return polished

    def _follow(self, image: np.ndarray, head: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Flow from the frame before, where it can be believed."""
        moved, missed = lucas_kanade(self._image, image, self._xy[rows])
        near = np.linalg.norm(moved - head, axis=1) < self._config.agreement * self._unit
        good = near & (missed < self._config.round_trip * self._unit)
        return np.where(good[:, None], moved, head)

    def _align(self, image: np.ndarray, xy: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Alignment with the query's own patch, where it can be believed.

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
        near = np.linalg.norm(shift, axis=1) < self._config.agreement * self._unit
        good = near & (missed < self._config.query_round_trip * self._unit)
        aligned = np.where(good[:, None], xy + shift, xy)
        alike = patch_difference(self._tiles[rows], start - grid, tiles, moved - grid)
        return np.where((alike < self._config.query_difference)[:, None], aligned, xy)


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
    """Polish all tracks of a video, away from each query in both directions of time."""
    xy = tracks.xy.copy()
    frame = tracks.queries[:, 0].astype(int)
    forward = Polisher(tracks.queries, video.size, config)
    for t, picture in enumerate(video.frames(int(frame.min())), start=int(frame.min())):
        polished = forward.push(picture, t, tracks.xy[:, t])
        later = frame <= t
        xy[later, t] = polished[later]
    last = int(frame.max())
    backward = Polisher(tracks.queries, video.size, config)
    for t, picture in zip(range(last, -1, -1), video.reversed_frames(last), strict=True):
        polished = backward.push(picture, t, tracks.xy[:, t])
        earlier = frame > t
        xy[earlier, t] = polished[earlier]
    return replace(tracks, xy=xy)
