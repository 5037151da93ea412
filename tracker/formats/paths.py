"""Tracks as other programs see them: points have names, frames their number in the video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tracker.points.tracks import Tracks

CENTRE = 0.5
"""Where the centre of the first pixel lies; programs that call it 0 are given that much less."""


@dataclass(frozen=True)
class Paths:
    """What a writer reads.

    Attributes:
        tracks: as they were tracked, in raster pixels.
        first_frame: the number that a program gives to the first frame of a video, 0 or 1 mostly.
    """

    tracks: Tracks
    first_frame: int = 0

    @cached_property
    def xy(self) -> np.ndarray:
        """`(N, T, 2) float64` raster pixels, with the corner of the first pixel at 0."""
        return self.tracks.xy.astype(np.float64)

    @cached_property
    def known(self) -> np.ndarray:
        """`(N, T) bool`: the position is a number, seen or guessed."""
        return np.isfinite(self.tracks.xy).all(axis=2)

    @cached_property
    def seen(self) -> np.ndarray:
        """`(N, T) bool`: the point is visible, at a position that is a number."""
        return self.tracks.visible & self.known

    @cached_property
    def confidence(self) -> np.ndarray:
        """`(N, T) float64` in 0..1."""
        return np.nan_to_num(self.tracks.confidence.astype(np.float64))

    @cached_property
    def frames(self) -> np.ndarray:
        """`(T,) int64`: what the program calls each frame, counted in frames of the whole video."""
        return self.first_frame + self.video_frames

    @cached_property
    def video_frames(self) -> np.ndarray:
        """`(T,) int64`: which frame of the whole video each one is, from 0."""
        tracks = self.tracks
        return tracks.start + tracks.stride * np.arange(tracks.num_frames, dtype=np.int64)

    @property
    def fps(self) -> float:
        """Frames per second of the whole video; tracks with a stride have fewer."""
        return self.tracks.fps * self.tracks.stride

    @property
    def size(self) -> tuple[int, int]:
        """`(W, H)` in pixels."""
        return self.tracks.size

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A name for each point, no two the same: its own, or such as `point_3`."""
        return self.names_of(lambda letter: True)

    def names_of(self, allowed: Callable[[str], bool]) -> tuple[str, ...]:
        """Return `names` for programs that cannot have some characters in them.

        Args:
            allowed: whether a character may stay; others become `_`.
        """
        given = self.tracks.names or ("",) * len(self.tracks)
        taken: set[str] = set()
        found = []
        for number, text in enumerate(given):
            plain = "".join(letter if allowed(letter) else "_" for letter in text.strip())
            base = name = plain or f"point_{number}"
            again = 2
            while name in taken:
                name, again = f"{base}_{again}", again + 1
            taken.add(name)
            found.append(name)
        return tuple(found)

    def centred(self) -> np.ndarray:
        """Return `xy` with the centre of the first pixel at 0, as programs of arrays have it."""
        return self.xy - CENTRE

    def upwards(self) -> np.ndarray:
        """Return `xy` with the origin at the bottom left, as compositing programs have it."""
        return np.stack([self.xy[..., 0], self.size[1] - self.xy[..., 1]], axis=2)


def number(value: float) -> str:
    """Return a coordinate as text, to a ten-thousandth of a pixel: `12.5`, never `1.25e1`."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
