"""Where points are put, where nobody names them: grids, masks, corners, an earlier run.

Positions are raster pixels.
"""

from __future__ import annotations

import numpy as np

from tracker.errors import UserError, log
from tracker.points.geometry import inside_frame
from tracker.points.tracks import Tracks


def grid_places(n: int, size: tuple[int, int]) -> np.ndarray:
    """Return the centres `(n * n, 2)` of equal cells of a frame of `size` `(W, H)`, by rows.

    Raises:
        UserError: `n` is less than 1.
    """
    if n < 1:
        raise UserError(f"grid {n} holds no points; give 1 or more")
    width, height = size
    centres = (np.arange(n) + 0.5) / n
    y, x = np.meshgrid(centres * height, centres * width, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def places_inside(mask: np.ndarray, n: int) -> np.ndarray:
    """Return the places `(N, 2)` of an `n` x `n` grid over a mask's bounding box that lie inside.

    Args:
        mask: `(H, W) bool`, not empty.
        n: rows and columns of the grid.

    Raises:
        UserError: `n` is less than 1.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    corner = np.array([columns[0], rows[0]], np.float32)
    extent = np.array([columns[-1] + 1, rows[-1] + 1], np.float32) - corner
    xy = grid_places(n, (1, 1)) * extent + corner
    kept = xy[mask[xy[:, 1].astype(int), xy[:, 0].astype(int)]]
    if len(kept) == 0:
        # A mask thinner than the grid's cells still deserves a point.
        first = columns[mask[rows[0], columns]][0]
        kept = np.array([[first + 0.5, rows[0] + 0.5]], np.float32)
    return kept


def corner_places(
    frame: np.ndarray, n: int, mask: np.ndarray | None = None, t: int = 0
) -> np.ndarray:
    """Return up to `n` corners `(N, 2)` of a frame, strongest first (Shi-Tomasi).

    Args:
        frame: `(H, W, 3) uint8`.
        n: how many.
        mask: `(H, W) bool`, to keep to.
        t: what the frame is called, should it have no corners.

    Raises:
        UserError: what is looked at is flat, or `n` is less than 1.
    """
    import cv2

    if n < 1:
        raise UserError(f"{n} corners are no points; give 1 or more")
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    where = np.ones(gray.shape, np.uint8) if mask is None else mask.astype(np.uint8)
    spacing = max(3.0, 0.5 * (float(where.sum()) / n) ** 0.5)
    found = cv2.goodFeaturesToTrack(gray, n, qualityLevel=0.005, minDistance=spacing, mask=where)
    if found is None:
        place = f"frame {t}" if mask is None else f"the masked part of frame {t}"
        raise UserError(f"{place} has no corners to track (it is flat); use a grid instead")
    # OpenCV counts from pixel centres.
    return found.reshape(-1, 2) + 0.5


def continued_rows(
    tracks: Tracks, start: int, size: tuple[int, int], num_frames: int
) -> tuple[list[tuple[float, float, float]], list[int]]:
    """Return where to go on with the points of an earlier run; see `Queries.from_tracks`.

    Args:
        tracks: of the earlier run.
        start: frame of it that is frame 0 of the new video.
        size: `(W, H)` of the new video in pixels.
        num_frames: of the new video.

    Returns:
        Rows of t, x, y in the new video, and the numbers of their points in the earlier run.

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
        seen = tracks.visible[point, start:stop] & inside_frame(tracks.xy[point, start:stop], size)
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
    return rows, kept
