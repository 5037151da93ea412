"""Frames that pass: decoded once for all who need them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator

import numpy as np

from tracker.video.source import FrameSource
from tracker.video.video import Video

HELD_BYTES = 384 * 2**20
"""Frames that are held for those who come later: 60 of 1920x1080, more than a tracker reads at
once."""


class PassingFrames:
    """A video whose frames are shown to somebody when they are first read, and held for a while.

    Frames are shown in order, each once: where a reader leaves some out, they are read as well.
    Whoever reads frames that are held no longer has them decoded again.

    Args:
        video: whose frames pass.
        on_frame: called with each frame `(H, W, 3) uint8`.
        kept: numbers of frames that are held to the end; of the others the last `HELD_BYTES`.

    Attributes:
        video: the same frames; this is what is to be read.
    """

    def __init__(
        self,
        video: Video,
        on_frame: Callable[[np.ndarray], object],
        kept: Collection[int] = (),
    ) -> None:
        self._numbers = video.source_frames
        self._on_frame = on_frame
        self._kept = {self._numbers[t] for t in kept}
        self._held: dict[int, np.ndarray] = {}
        self._order: deque[int] = deque()
        self._bytes = 0
        self._next = self._numbers.start
        self.video = video.through(lambda source: _PassingSource(source, self))

    def finish(self) -> None:
        """Let those frames pass that nobody has read."""
        passed = len(range(self._numbers.start, self._next, self._numbers.step))
        for _ in self.video.frames(passed):
            pass

    def read(self, source: FrameSource, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1` of the source, those that are held without decoding."""
        while start < stop and start in self._held:
            yield self._held[start]
            start += 1
        if start == stop:
            return
        begin = min(start, self._next)
        for number, frame in enumerate(source.frames(begin, stop), begin):
            if number == self._next:
                self._pass(number, frame)
            if number >= start:
                yield frame

    def _pass(self, number: int, frame: np.ndarray) -> None:
        self._next += self._numbers.step
        self._held[number] = frame
        if number not in self._kept:
            self._order.append(number)
            self._bytes += frame.nbytes
        while self._bytes > HELD_BYTES:
            self._bytes -= self._held.pop(self._order.popleft()).nbytes
        self._on_frame(frame)


class _PassingSource:
    """What a `Video` reads of frames that pass."""

    def __init__(self, source: FrameSource, passing: PassingFrames) -> None:
        self.info = source.info
        self._source, self._passing = source, passing

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1` as `(H, W, 3) uint8`."""
        return self._passing.read(self._source, start, stop)
