"""What every source of frames offers, and what is known of a video before it is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

DEFAULT_FPS = 24.0
"""Frames per second of sources that do not say."""


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before its frames are decoded.

    Attributes:
        name: file or folder name, for messages and output names.
        size: `(W, H)` in pixels as they are shown: turned upright, and square.
        num_frames: frames that can be decoded.
        fps: average frames per second.
        variable_frame_rate: True where frame durations differ by more than rounding.
        rotation: degrees counter-clockwise that the file's tag asks for; already applied.
        pixel_aspect: width by height of the pixels as they are stored; already applied.
        interlaced: True where the odd and even lines of a frame are of different times.
        codec: name of the codec, or of the kind of source.
        warning: a line for the user where the file is damaged, else None.
    """

    name: str
    size: tuple[int, int]
    num_frames: int
    fps: float
    variable_frame_rate: bool = False
    rotation: int = 0
    pixel_aspect: float = 1.0
    interlaced: bool = False
    codec: str = "array"
    warning: str | None = None


class FrameSource(Protocol):
    """Where frames come from; `frames` may be called any number of times."""

    info: VideoInfo

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1` as `(H, W, 3) uint8`."""
        ...
