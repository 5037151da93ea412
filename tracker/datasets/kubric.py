"""Kubric MOVi-E/F point tracks, in the layout that CoTracker and LocoTrack publish.

    root/0000/frames/000.png ...      the frames
    root/0000/0000.npy                {"coords": (N, T, 2) pixels, "visibility": (N, T)}

In these files `visibility` is True where a point is *occluded*, contrary to its name; the published
loaders all invert it. The `.npy` holds a pickled dict; it is read with only arrays allowed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from tracker.datasets.restricted_pickle import load_restricted_npy
from tracker.datasets.track_folders import AnnotatedFolder, FolderTracks
from tracker.errors import UserError

PUBLISHED_AT = "https://huggingface.co/datasets/facebook/CoTracker3_Kubric"


def kubric_tracks(
    root: str | None, frames: int, size: tuple[int, int], points: int, visibility_is: str
) -> FolderTracks:
    """Return random clips of a Kubric folder.

    Args:
        root: the folder of numbered videos.
        frames: of every clip.
        size: of every clip, `(height, width)` in pixels.
        points: of every clip.
        visibility_is: `occluded` as published, or `visible` for files made with the plain meaning.

    Raises:
        UserError: no such folder, or no videos in it.
    """
    if root is None or not Path(root).is_dir():
        raise UserError(
            f"data.root={root} is not a folder; Kubric tracks are published at {PUBLISHED_AT}: "
            "download them and name the folder of numbered videos"
        )
    if visibility_is not in ("occluded", "visible"):
        raise UserError(f"data.visibility_is={visibility_is} must be occluded or visible")
    folders = sorted(p.parent for p in Path(root).glob("*/*.npy") if p.stem == p.parent.name)
    if not folders:
        raise UserError(f"{root} holds no videos such as 0000/0000.npy with 0000/frames/")
    read = partial(read_kubric, inverted=visibility_is == "occluded")
    return FolderTracks(folders, read, frames, size, points)


def read_kubric(folder: Path, inverted: bool = True) -> AnnotatedFolder:
    """Read one video's annotation.

    Raises:
        UserError: the file is damaged, lacks a key, or asks for more than arrays.
    """
    path = folder / f"{folder.name}.npy"
    content = load_restricted_npy(path)
    if not isinstance(content, dict) or not {"coords", "visibility"} <= content.keys():
        raise UserError(f"{path} must hold a dict with coords and visibility")
    flags = np.asarray(content["visibility"]).astype(bool)
    coords = np.asarray(content["coords"], np.float32)
    return AnnotatedFolder(folder / "frames", coords, ~flags if inverted else flags)
