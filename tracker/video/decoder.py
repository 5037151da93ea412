"""Frames from a file that ffmpeg can decode, through PyAV, with frame-exact seeking."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracker.errors import UserError, log
from tracker.video.display import deinterlaced, picture_stream, pixel_aspect, shown_size
from tracker.video.source import DEFAULT_FPS, VideoInfo

if TYPE_CHECKING:
    import av

SEEK_MARGIN = 300
"""Frames to seek back where a seek ended too late; more than encoders put between key frames."""

SKIPPED = 16
"""Frames that are decoded for nothing rather than looked for in the file, though a key frame lies
between; where none does, going on costs no more than going there."""

DECODER_DELAY = 16
"""The most frames that H.264 and HEVC hold back to put them in order."""


class FileSource:
    """A file decoded by PyAV, with frame-exact seeking through an index of time stamps.

    Opening reads the packets' time stamps (no decoding) and decodes the first frame; also the last
    ones, where the container does not say how many there should be. Where the file turns out to be
    cut short, frames are counted by decoding once, and `info.warning` says how many are good.

    Frames are shown as players show them: turned upright, and stretched where the file says that
    its pixels are not square.

    Args:
        path: of the file.
        deinterlace: make whole frames of those whose odd and even lines are of different times.

    Raises:
        UserError: nothing that ffmpeg can decode.
    """

    def __init__(self, path: Path, deinterlace: bool = False) -> None:
        self._path = path
        self._deinterlace = deinterlace
        self._interlaced = False
        self._pixel_aspect = 1.0
        self._index: list[int] = []
        self._key_frames: list[int] = []
        self._rotation = 0
        self._cursor: _Cursor | None = None
        try:
            self.info = self._probe()
        except UserError:
            raise
        except _ffmpeg_errors() as error:
            raise UserError(
                f"{path} is not a video that ffmpeg can read ({_reason(error)}); "
                "it may be damaged, cut short or another kind of file"
            ) from error
        if self.info.warning:
            log.warning("%s", self.info.warning)
        if self.info.interlaced and not deinterlace:
            log.warning(
                "%s is interlaced: where moving edges look like combs, read it with --deinterlace "
                "(deinterlace=True)",
                path,
            )

    def _probe(self) -> VideoInfo:
        with self._open() as container:
            stream = picture_stream(container)
            if container.format.name == "tty" or stream is None:
                what = "but a cover picture" if container.streams.video else "at all"
                raise UserError(f"{self._path} holds no video {what}; name a video file")
            self._pixel_aspect = pixel_aspect(stream)
            rate = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
            packets = _read_packets(container, stream, rate)
            tick = float(stream.time_base or 0)
            codec = stream.codec_context.name
            counted = stream.frames > 0
        self._index, self._key_frames = packets.index, packets.key_frames
        first = next(self._decode(0), None)
        if first is None:
            raise UserError(f"{self._path} has no frame that can be decoded; it may be cut short")
        num_frames = packets.shown
        damaged = packets.promised > num_frames
        if not damaged and not counted:
            # Nothing says how long the file was meant to be: does its end decode?
            tail = min(num_frames, DECODER_DELAY)
            damaged = sum(1 for _ in self._decode(num_frames - tail)) < tail
        warning = None
        if damaged:
            self._index = self._index[: packets.whole]
            num_frames = sum(1 for _ in islice(self._decode(0), packets.whole))
            warning = (
                f"{self._path} is damaged or cut short: only its first {num_frames} frames of "
                f"about {packets.promised} can be decoded, and only those are used"
            )
        return VideoInfo(
            name=self._path.name,
            size=(first.shape[1], first.shape[0]),
            num_frames=num_frames,
            fps=rate,
            variable_frame_rate=_rate_varies(self._index, tick, rate),
            rotation=self._rotation,
            pixel_aspect=self._pixel_aspect,
            interlaced=self._interlaced,
            codec=codec,
            warning=warning,
        )

    def _open(self) -> av.container.InputContainer:
        import av

        return av.open(str(self._path), metadata_errors="replace")

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield frames `start..stop-1` as `(H, W, 3) uint8`.

        Raises:
            UserError: a frame cannot be decoded or is of another size.
        """
        width, height = self.info.size
        index, decoded = start, self._resume(start)
        for frame in decoded:
            if frame.shape[:2] != (height, width):
                raise UserError(
                    f"frame {index} of {self._path} is {frame.shape[1]}x{frame.shape[0]} but the "
                    f"first is {width}x{height}; re-encode the video at one size"
                )
            index += 1
            if index == stop < self.info.num_frames:
                self._cursor = _Cursor(decoded, index, os.getpid())
            yield frame
            if index == stop:
                return
        raise UserError(
            f"{self._path} could only be decoded up to frame {index - 1}; read it with stop {index}"
        )

    def _resume(self, start: int) -> Iterator[np.ndarray]:
        """Return upright frames from `start` on; where the last read stopped, its decoder goes on.

        Whoever reads has the decoder for itself: a second reader gets one of its own.
        """
        cursor, self._cursor = self._cursor, None
        # A forked process would move the place in the file under its parent's feet.
        if cursor is None or cursor.process != os.getpid():
            return self._decode(start)
        ahead = start - cursor.position
        if ahead < 0 or (ahead > SKIPPED and self._key_frame_before(start) > cursor.position):
            return self._decode(start)
        for _ in range(start - cursor.position):
            next(cursor.frames, None)
        return cursor.frames

    def _key_frame_before(self, index: int) -> int:
        """Return the last frame up to `index` from which decoding can begin, as far as is known."""
        later = bisect_right(self._key_frames, index)
        return self._key_frames[later - 1] if later else 0

    def _decode(self, start: int) -> Iterator[np.ndarray]:
        """Yield upright frames from `start` on, up to the last that decodes."""
        # MPEG-TS lands after the frame asked for: then seek further back, then read from the start.
        early = start - self._deinterlace  # the filter looks at the frame before
        for target in (early, early - SEEK_MARGIN, None):
            if target is not None and (target <= 0 or not self._index):
                continue
            with self._open() as container:
                stream = picture_stream(container)
                assert stream is not None, "it was there when the file was opened"
                stream.thread_type = "AUTO"
                if target is not None:
                    container.seek(self._index[target], stream=stream)
                decoded = _good_frames(container, stream)
                if self._deinterlace:
                    decoded = deinterlaced(decoded, stream)
                first = next(decoded, None)
                position = 0 if target is None else self._position(first)
                if first is None or position > max(early, 0):
                    continue
                for frame in islice(chain([first], decoded), start - position, None):
                    yield self._upright(frame)
                return

    def _position(self, frame: av.VideoFrame | None) -> int:
        """Return which frame of the video this is, or one past the last where nothing says so."""
        if frame is None or frame.pts is None:
            return len(self._index)
        return bisect_left(self._index, frame.pts)

    def _upright(self, frame: av.VideoFrame) -> np.ndarray:
        turns = round(frame.rotation / 90) % 4
        self._rotation = 90 * turns
        self._interlaced = self._interlaced or frame.interlaced_frame
        width, height = shown_size((frame.width, frame.height), self._pixel_aspect)
        rgb = frame.to_ndarray(format="rgb24", width=width, height=height)
        return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb


@dataclass(frozen=True)
class _Cursor:
    """An open decoder, where a read stopped.

    Attributes:
        frames: that come next, upright.
        position: number of the first of them.
        process: that opened it.
    """

    frames: Iterator[np.ndarray]
    position: int
    process: int


def _ffmpeg_errors() -> tuple[type[Exception], ...]:
    import av

    return (av.error.FFmpegError, ValueError, IndexError, OSError)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _good_frames(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.VideoFrame]:
    """Yield decoded frames up to the first error."""
    import av

    try:
        for packet in container.demux(stream):
            # Decoding nothing hands over the frames that the decoder still holds.
            for frame in stream.decode(None if packet.is_corrupt else packet):
                if frame.is_corrupt:
                    return
                yield frame
            if packet.is_corrupt:
                return
    except av.error.FFmpegError:
        return


@dataclass(frozen=True)
class _Packets:
    """What the packets of a file say about its frames, without decoding.

    Attributes:
        index: time stamps of the shown frames in the order of showing; empty where any is unknown.
        key_frames: numbers of those from which decoding can begin, ascending.
        shown: how many frames there are.
        promised: how many there would be if the file were whole; more than `shown` where it is not.
        whole: how many frames can be trusted, if the last packet or one before it is damaged.
    """

    index: list[int]
    key_frames: list[int]
    shown: int
    promised: int
    whole: int


def _read_packets(
    container: av.container.InputContainer, stream: av.VideoStream, rate: float
) -> _Packets:
    import av

    stamps: list[int | None] = []
    keys: set[int | None] = set()
    streams = (stream, *container.streams.audio)
    hidden, reached, suspect, damaged = 0, 0.0, None, False
    try:
        for packet in container.demux(streams):
            if packet.pts is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                reached = max(reached, end)
            if packet.stream.index != stream.index or not packet.size:
                continue
            if not damaged:
                suspect = packet.pts if packet.dts is None else packet.dts
            damaged = damaged or packet.is_corrupt
            if packet.is_discard:  # before the start of an edit list: needed to decode, not shown
                hidden += 1
            else:
                stamps.append(packet.pts)
                if packet.is_keyframe:
                    keys.add(packet.pts)
    except av.error.FFmpegError:
        damaged = True
    shown = len(stamps)
    # Edit lists may also cut samples off the end: those are not in the index, but in `frames`.
    entries = len(getattr(stream, "index_entries", ())) if "mov" in container.format.name else 0
    promised = max(shown, (entries or stream.frames) - hidden)
    if not stream.frames and container.duration:
        missing = (container.duration + (container.start_time or 0)) / 1e6 - reached
        if missing > 0.5:
            promised = shown + round(missing * rate)
    # Packets come in decoding order. Whatever follows the suspect one is shown after its
    # decoding time, so the frames shown before that are all here.
    index = sorted(s for s in stamps if s is not None)
    if len(index) < shown:
        index = []
    whole = bisect_left(index, suspect) if index and suspect is not None else shown
    key_frames = [number for number, stamp in enumerate(index) if stamp in keys]
    return _Packets(index, key_frames, shown, max(promised, shown + damaged), max(whole, 1))


def _rate_varies(stamps: list[int], tick: float, rate: float) -> bool:
    """True where frame durations differ by more than a tenth of the mean or one clock tick."""
    if len(stamps) < 3:
        return False
    durations = np.diff(stamps) * tick
    return bool(np.ptp(durations) > max(0.1 / rate, 2.5 * tick))
