"""Clips without tracks: what a template is fitted on and a backbone is pretrained on.

A source gives clip number `i` as `(T, 3, H, W) float32` in 0..1, always the same for the same seed
and number, so that long work can go on where it stopped. Clips are cropped, flipped and shifted at
random: content must not be tied to position.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from tracker.datasets.random_crop import below, draw_crop
from tracker.datasets.tapvid import TapVid
from tracker.devices import check_device
from tracker.errors import UserError
from tracker.scenes.renderer import SceneConfig, render_scenes
from tracker.scenes.textures import open_textures
from tracker.video.pixels import image_size
from tracker.video.video import Video
from tracker.video.video_folder import VIDEO_SUFFIXES, open_video_folder

STAND_INS = 8
FAR = 2**28
"""Numbers of clips that stand in for unreadable ones start so far behind. Eight times this stays
below 2**32, for torch's generators use no more of a seed than its lower 32 bits."""


class ClipSource(Protocol):
    """Numbered clips."""

    def clip(self, index: int) -> Tensor:
        """Return clip `index` as `(T, 3, H, W) float32` in 0..1."""
        ...


class ProceduralClips:
    """Rendered scenes.

    Args:
        frames: of a clip.
        size: of a clip, `(height, width)` in pixels.
        textures: a folder of photographs, or None for the built-in ones.
        seed: of the first clip.
        device: where to render, and where clips are; see `check_device`.

    Raises:
        UserError: no such device, no pictures in the folder, or `size` is not a size.
    """

    def __init__(
        self,
        frames: int,
        size: tuple[int, int],
        textures: str | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self._bank = open_textures(textures)
        height, width = image_size("size", size)
        self._config = SceneConfig(frames=frames, height=height, width=width, points=1)
        self._seed, self._device = seed, check_device(device)

    def clip(self, index: int) -> Tensor:
        """Return the scene of seed `seed + index`, `(T, 3, H, W) float32` in 0..1."""
        scenes = render_scenes([self._seed + index], self._config, self._bank, self._device)
        return scenes.video[0]


class VideoClips:
    """Random clips of videos, each with a random crop and flip.

    Args:
        videos: where to cut from. Shorter ones are played back and forth.
        frames: of a clip.
        size: of a clip, `(height, width)` in pixels.
        seed: of all choices.

    Raises:
        UserError: no videos, or `size` is not a size.
    """

    def __init__(
        self, videos: list[Video], frames: int, size: tuple[int, int], seed: int = 0
    ) -> None:
        if not videos:
            raise UserError("no videos to cut clips from")
        self.skipped: dict[str, str] = {}
        self._videos, self._frames, self._seed = videos, frames, seed
        self._size = image_size("size", size)

    @classmethod
    def from_folder(
        cls, folder: str | Path, frames: int, size: tuple[int, int], seed: int = 0
    ) -> VideoClips:
        """Use every readable video below a folder; `skipped` says which were not, and why.

        Raises:
            UserError: no folder, or no readable video in it.
        """
        found = open_video_folder(folder)
        if not found.videos:
            raise UserError(
                f"folder {folder} holds no readable video ({len(found.skipped)} damaged; looked "
                f"for {', '.join(sorted(VIDEO_SUFFIXES))})"
            )
        source = cls(list(found.videos.values()), frames, size, seed)
        source.skipped = found.skipped
        return source

    @classmethod
    def from_tapvid(
        cls, path: str | Path, frames: int, size: tuple[int, int], seed: int = 0
    ) -> VideoClips:
        """Use the videos of a TAP-Vid file."""
        samples = [load() for _, load in TapVid("tapvid", path)]
        return cls([sample.video for sample in samples], frames, size, seed)

    def clip(self, index: int) -> Tensor:
        """Return a clip of a random video, `(T, 3, H, W) float32` in 0..1.

        Raises:
            UserError: its frames cannot be decoded.
        """
        random = Generator().manual_seed(self._seed * 1_000_003 + index)
        video = self._videos[below(random, len(self._videos))]
        start = below(random, max(1, len(video) - self._frames + 1))
        frames = video.read(start, min(len(video), start + self._frames))
        frames = frames[_back_and_forth(len(frames), self._frames)]
        clip = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
        return draw_crop(random, (clip.shape[2], clip.shape[3]), self._size).cut(clip)


def open_clips(
    frames: int,
    size: tuple[int, int],
    *,
    videos: str | None = None,
    tapvid: str | None = None,
    textures: str | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> ClipSource:
    """Return the source that options name: videos, a TAP-Vid file, or else rendered scenes.

    Args:
        frames: of a clip.
        size: of a clip, `(height, width)` in pixels.
        videos: a folder of videos.
        tapvid: a TAP-Vid file.
        textures: a folder of photographs.
        seed: of all choices.
        device: where scenes are rendered.

    Raises:
        UserError: what is named is missing or cannot be read.
    """
    if videos:
        return VideoClips.from_folder(videos, frames, size, seed)
    if tapvid:
        return VideoClips.from_tapvid(tapvid, frames, size, seed)
    return ProceduralClips(frames, size, textures, seed, device)


def clip_or_stand_in(clips: ClipSource, number: int, unreadable: list[str]) -> Tensor:
    """Return a clip, or another in its place where it cannot be read; always the same one.

    Args:
        clips: where it comes from.
        number: of the clip.
        unreadable: takes the reason of each clip that could not be read.

    Raises:
        UserError: so many in a row cannot be read that hardly any can.
    """
    for attempt in range(STAND_INS):
        try:
            return clips.clip(number + attempt * FAR)
        except UserError as error:
            unreadable.append(str(error))
    raise UserError(
        f"{STAND_INS} clips in a row could not be read, the last because {unreadable[-1]}; "
        "remove the damaged videos"
    )


def _back_and_forth(length: int, count: int) -> np.ndarray:
    """Return the indices 0, 1, ..., n-1, n-2, ..., 1, 0, 1, ..., `count` of them."""
    cycle = np.concatenate([np.arange(length), np.arange(length - 2, 0, -1)])
    return np.resize(cycle, count)
