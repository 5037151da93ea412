"""Photographs and videos that views are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tracker.errors import UserError
from tracker.files import UNREADABLE_IMAGE, files_below
from tracker.scenes.textures import SUFFIXES
from tracker.video.loading import load_video
from tracker.video.video_folder import VIDEO_SUFFIXES


@dataclass(frozen=True)
class Source:
    """A file of pictures.

    Attributes:
        path: the file.
        kind: `photograph` or `video`.
        length: frames; 1 of a photograph.
        size: `(height, width)` in pixels.
        digest: hash of the file's content.
    """

    path: Path
    kind: Literal["photograph", "video"]
    length: int
    size: tuple[int, int]
    digest: str

    def read(self, first: int, frames: int) -> Tensor:
        """Return frames `(F, 3, H, W) float32` in 0..1.

        Raises:
            UserError: they cannot be decoded.
        """
        return torch.from_numpy(self.pixels(first, frames)).permute(0, 3, 1, 2).float() / 255

    def pixels(self, first: int, frames: int) -> np.ndarray:
        """Return frames `(F, H, W, 3) uint8`.

        Raises:
            UserError: they cannot be decoded.
        """
        if self.kind == "video":
            return load_video(self.path).read(first, first + frames)
        return _decode(self.path)[None]


def find_sources(
    photographs: str | Path | None, videos: Sequence[str | Path]
) -> tuple[list[Source], dict[str, str]]:
    """Open every photograph and video below some folders.

    Args:
        photographs: a folder, or None.
        videos: folders.

    Returns:
        The sources in order of name, photographs first, and why files were skipped, by path.

    Raises:
        UserError: a folder does not exist, or nothing can be read.
    """
    wanted = [(photographs, SUFFIXES, _open_photograph)] if photographs else []
    wanted += [(folder, VIDEO_SUFFIXES, _open_video) for folder in videos]
    sources: list[Source] = []
    skipped: dict[str, str] = {}
    for folder, suffixes, opener in wanted:
        if not Path(folder).is_dir():
            raise UserError(f"folder {folder} does not exist; name a folder to distil on")
        for path in files_below(folder, suffixes):
            try:
                sources.append(opener(path))
            except UserError as error:
                skipped[str(path)] = str(error)
    if not sources:
        reason = f" ({len(skipped)} cannot be read)" if skipped else ""
        raise UserError(
            f"no photograph and no video to distil on{reason}; give photographs=FOLDER or "
            "videos=[FOLDER]"
        )
    return sources, skipped


def _open_photograph(path: Path) -> Source:
    height, width = _decode(path).shape[:2]  # all of it: broken ends are found now
    return Source(path, "photograph", 1, (height, width), _digest(path))


def _open_video(path: Path) -> Source:
    video = load_video(path)
    width, height = video.info.size
    return Source(path, "video", len(video), (height, width), _digest(path))


def _decode(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as file:
            return np.array(file.convert("RGB"))
    except UNREADABLE_IMAGE as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read ({reason})") from error


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:20]
