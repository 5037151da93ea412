"""Where the frames of a `Video` come from: files, folders of images, arrays."""

from __future__ import annotations

import re
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracker.errors import UserError
from tracker.video import FrameSource, Video, VideoInfo

if TYPE_CHECKING:
    import av

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}
DEFAULT_FPS = 24.0


def open_source(source: str | Path | np.ndarray, fps: float | None) -> FrameSource:
    """Choose the reader for a path or array.

    Raises:
        UserError: the path is missing, empty or nothing that holds frames.
    """
    if isinstance(source, np.ndarray):
        return ArraySource(source, fps=fps or DEFAULT_FPS, name="array")
    path = Path(source)
    if not path.exists():
        raise UserError(f"video {path} does not exist; check the path")
    if path.is_dir():
        return ImageFolderSource(path, fps=fps or DEFAULT_FPS)
    if path.stat().st_size == 0:
        raise UserError(f"video {path} is empty (0 bytes); copy or download it again")
    if path.suffix == ".npy":
        return ArraySource(_map_npy(path), fps=fps or DEFAULT_FPS, name=path.name)
    return FileSource(path)


def _map_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is not a readable .npy array of frames ({error})") from error


class ArraySource:
    """Frames from an array or memory-mapped `.npy`, converted a frame at a time.

    Raises:
        UserError: not `(T, H, W, 3)`, `(T, H, W, 1)` or `(T, H, W)`; not uint8 or float; empty.
    """

    def __init__(self, array: np.ndarray, fps: float, name: str) -> None:
        shape = array.shape
        if array.ndim not in (3, 4) or (array.ndim == 4 and shape[3] not in (1, 3)):
            raise UserError(f"{name} has shape {shape}; frames must be (T, H, W, 3) or (T, H, W)")
        if 0 in shape:
            raise UserError(f"{name} has shape {shape}, which holds no pixels")
        if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
            raise UserError(f"{name} has type {array.dtype}; use uint8, or float in 0..1")
        self._array = array
        self.info = VideoInfo(name, (shape[2], shape[1]), shape[0], float(fps), codec="array")

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        for index in range(start, stop):
            yield self._rgb(np.asarray(self._array[index]), index)

    def _rgb(self, frame: np.ndarray, index: int) -> np.ndarray:
        if frame.dtype != np.uint8:
            if not np.isfinite(frame).all():
                raise UserError(f"frame {index} of {self.info.name} has NaN or infinite pixels")
            if frame.min() < 0 or frame.max() > 1:
                raise UserError(
                    f"frame {index} of {self.info.name} has float pixels outside 0..1; "
                    "divide by 255 or store uint8"
                )
            frame = np.round(frame * 255).astype(np.uint8)
        if frame.ndim == 2:
            frame = frame[..., None]
        return np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))


class MappedSource:
    """Another video's frames, each passed through `transform`."""

    def __init__(
        self, video: Video, size: tuple[int, int], transform: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        self._video, self._transform = video, transform
        self.info = VideoInfo(video.name, size, len(video), video.fps, codec=video.info.codec)

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        return map(self._transform, self._video.frames(start, stop))


class ImageFolderSource:
    """A folder of images in natural order (`frame2` before `frame10`), all of one size.

    Raises:
        UserError: no images; or, while reading, a damaged image or one of another size.
    """

    def __init__(self, folder: Path, fps: float) -> None:
        paths = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES]
        if not paths:
            raise UserError(
                f"folder {folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}); "
                "name a video file or a folder of frames"
            )
        self._paths = sorted(paths, key=_natural_key)
        height, width = self._read(self._paths[0]).shape[:2]
        self.info = VideoInfo(
            folder.name or str(folder), (width, height), len(paths), float(fps), codec="images"
        )

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        width, height = self.info.size
        for path in self._paths[start:stop]:
            frame = self._read(path)
            if frame.shape[:2] != (height, width):
                raise UserError(
                    f"{path} is {frame.shape[1]}x{frame.shape[0]} but the first image of its "
                    f"folder is {width}x{height}; make all frames one size"
                )
            yield frame

    @staticmethod
    def _read(path: Path) -> np.ndarray:
        from PIL import Image, ImageOps

        try:
            with Image.open(path) as image:
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise UserError(f"image {path} cannot be read; replace or remove it") from error


def _natural_key(path: Path) -> list[tuple[int, int | str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(p)) if p.isdigit() else (1, p) for p in parts]


class FileSource:
    """A file decoded by PyAV, with frame-exact seeking through an index of time stamps.

    Opening reads the packets' time stamps (no decoding) and decodes the first frame. Where those
    say that the file was cut short, frames are counted by decoding once, and `info.warning` says
    how many are good.

    Raises:
        UserError: nothing that ffmpeg can decode.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index: list[int] = []
        self._rotation = 0
        try:
            self.info = self._probe()
        except _ffmpeg_errors() as error:
            raise UserError(
                f"{path} is not a video that ffmpeg can read ({_reason(error)}); "
                "it may be damaged, cut short or another kind of file"
            ) from error
        if self.info.warning:
            warnings.warn(self.info.warning, stacklevel=2)

    def _probe(self) -> VideoInfo:
        with self._open() as container:
            if container.format.name == "tty" or not container.streams.video:
                raise UserError(f"{self._path} holds no video; name a video file")
            stream = container.streams.video[0]
            stamps, damaged = _packet_stamps(container)
            num_frames = len(stamps)
            rate = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
            tick = float(stream.time_base or 0)
            codec = stream.codec_context.name
            promised = max(num_frames, stream.frames, _frames_by_duration(container, stamps))
        # Time stamps of B-frames arrive in decoding order; shown order is sorted.
        self._index = sorted(s for s in stamps if s is not None)
        if len(self._index) < num_frames:
            self._index = []
        first = next(self._decode(0), None)
        if first is None:
            raise UserError(f"{self._path} has no frame that can be decoded; it may be cut short")
        warning = None
        if damaged or promised > num_frames:
            num_frames = sum(1 for _ in self._decode(0))
            warning = (
                f"{self._path} is damaged or cut short: only its first {num_frames} frames of "
                f"about {max(promised, num_frames)} can be decoded, and only those are used"
            )
        return VideoInfo(
            name=self._path.name,
            size=(first.shape[1], first.shape[0]),
            num_frames=num_frames,
            fps=rate,
            variable_frame_rate=_rate_varies(self._index, tick, rate),
            rotation=self._rotation,
            codec=codec,
            warning=warning,
        )

    def _open(self) -> av.container.InputContainer:
        import av

        return av.open(str(self._path), metadata_errors="replace")

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        width, height = self.info.size
        index = start
        for frame in self._decode(start):
            if frame.shape[:2] != (height, width):
                raise UserError(
                    f"frame {index} of {self._path} is {frame.shape[1]}x{frame.shape[0]} but the "
                    f"first is {width}x{height}; re-encode the video at one size"
                )
            yield frame
            index += 1
            if index == stop:
                return
        raise UserError(
            f"{self._path} could only be decoded up to frame {index - 1}; read it with stop {index}"
        )

    def _decode(self, start: int) -> Iterator[np.ndarray]:
        """Yield upright frames from `start` on, up to the last that decodes."""
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            position = 0
            decoded = _good_frames(container)
            if start > 0 and self._index:
                container.seek(self._index[start], stream=stream)
                first = next(decoded, None)
                landed = first is not None and first.pts is not None
                position = bisect_left(self._index, first.pts) if landed else len(self._index)
                if position > start:
                    # Some containers seek past the frame; read those from the beginning.
                    container.seek(self._index[0], stream=stream)
                    decoded, position = _good_frames(container), 0
                elif position == start:
                    yield self._upright(first)
                    position += 1
                else:
                    position += 1
            for frame in decoded:
                if position >= start:
                    yield self._upright(frame)
                position += 1

    def _upright(self, frame: av.VideoFrame) -> np.ndarray:
        turns = round(frame.rotation / 90) % 4
        self._rotation = 90 * turns
        rgb = frame.to_ndarray(format="rgb24")
        return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb


def _ffmpeg_errors() -> tuple[type[Exception], ...]:
    import av

    return (av.error.FFmpegError, ValueError, IndexError, OSError)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _good_frames(container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    """Yield decoded frames up to the first error."""
    import av

    try:
        for frame in container.decode(video=0):
            if frame.is_corrupt:
                return
            yield frame
    except av.error.FFmpegError:
        return


def _packet_stamps(
    container: av.container.InputContainer,
) -> tuple[list[int | None], bool]:
    """Return each shown packet's time stamp in file order, and whether any packet is damaged."""
    import av

    stamps: list[int | None] = []
    damaged = False
    try:
        for packet in container.demux(video=0):
            if packet.size and not packet.is_discard:
                stamps.append(packet.pts)
                damaged |= packet.is_corrupt
    except av.error.FFmpegError:
        damaged = True
    return stamps, damaged


def _frames_by_duration(container: av.container.InputContainer, stamps: list[int | None]) -> int:
    """Frames that the container's duration promises where the packets end well before it, else 0.

    Only a lone stream is judged so: sound is often longer than the picture.
    """
    stream = container.streams.video[0]
    known = [s for s in stamps if s is not None]
    if len(container.streams) > 1 or not container.duration or not known or not stream.time_base:
        return 0
    start = stream.start_time or 0
    seconds_read = float((max(known) - start) * stream.time_base)
    seconds_promised = container.duration / 1e6
    if seconds_read > 0.95 * seconds_promised - 0.5:
        return 0
    return round(seconds_promised * float(stream.average_rate or DEFAULT_FPS))


def _rate_varies(stamps: list[int], tick: float, rate: float) -> bool:
    """True where frame durations differ by more than a tenth of the mean or one clock tick."""
    if len(stamps) < 3:
        return False
    durations = np.diff(stamps) * tick
    return bool(np.ptp(durations) > max(0.1 / rate, 2.5 * tick))
