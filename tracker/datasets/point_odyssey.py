"""PointOdyssey, in its published layout.

root/<scene>/rgbs/rgb_00000.jpg ...
root/<scene>/anno.npz      trajs_2d (T, N, 2) pixels, visibs (T, N), valids (T, N)
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from tracker.datasets.track_folders import AnnotatedFolder, FolderTracks
from tracker.errors import UserError

PUBLISHED_AT = "https://pointodyssey.com"


def point_odyssey_tracks(
    root: str | None, frames: int, size: tuple[int, int], points: int
) -> FolderTracks:
    """Return random clips of a PointOdyssey split.

    Raises:
        UserError: no such folder, or no scenes in it.
    """
    if root is None or not Path(root).is_dir():
        raise UserError(
            f"data.root={root} is not a folder; PointOdyssey is published at {PUBLISHED_AT}: "
            "download it and name the folder of a split"
        )
    folders = sorted(path.parent for path in Path(root).glob("*/anno.npz"))
    if not folders:
        raise UserError(f"{root} holds no scenes such as <scene>/anno.npz with <scene>/rgbs/")
    return FolderTracks(folders, read_point_odyssey, frames, size, points)


def read_point_odyssey(folder: Path) -> AnnotatedFolder:
    """Read one scene's annotation; points that are not valid count as invisible.

    Raises:
        UserError: the file is damaged or lacks a key.
    """
    path = folder / "anno.npz"
    try:
        with np.load(path, allow_pickle=False) as data:
            xy = data["trajs_2d"].astype(np.float32)
            visible = data["visibs"].astype(bool) & data["valids"].astype(bool)
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a PointOdyssey annotation ({error})") from error
    return AnnotatedFolder(folder / "rgbs", np.swapaxes(xy, 0, 1), visible.T)
