"""Tracks show themselves: over their video, as a file, and in notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tracker.errors import UserError
from tracker.points.drawn import DrawnTracks
from tracker.progress import Progress, counted, reported
from tracker.video.loading import load_video
from tracker.video.writing import write_video

if TYPE_CHECKING:
    from PIL import Image

    from tracker.points.drawing import DrawingStyle
    from tracker.video.loading import VideoLike
    from tracker.video.video import Video


class WholeTracks(DrawnTracks, Protocol):
    """What is drawn, and which frames of which video it is."""

    @property
    def start(self) -> int:
        """Which frame of the whole video frame 0 is."""
        ...

    @property
    def stride(self) -> int:
        """Every so manyth frame of the video."""
        ...

    @property
    def num_frames(self) -> int:
        """Frames that the tracks run through."""
        ...


class ShownTracks:
    """The part of `Tracks` that makes pictures; OpenCV is not loaded before one is asked for."""

    def plot(
        self: WholeTracks,
        video: VideoLike,
        columns: int = 4,
        rows: int = 2,
        style: DrawingStyle | None = None,
    ) -> Image.Image:
        """Return a contact sheet of the video with these tracks; notebooks show it.

        tracks.plot("clip.mp4").save("sheet.png")

        Args:
            video: what was tracked, or the whole of which it was a part; whatever `load_video`
                takes.
            columns: of the sheet.
            rows: of the sheet.
            style: how points are drawn; None as by default.

        Raises:
            UserError: the video has other frames.
        """
        from PIL import Image

        from tracker.points.drawing import contact_sheet

        return Image.fromarray(contact_sheet(_frames_of(self, video), self, columns, rows, style))

    def render(
        self: WholeTracks,
        video: VideoLike,
        path: str | Path,
        style: DrawingStyle | None = None,
        truth: DrawnTracks | None = None,
        progress: Progress | bool | None = None,
    ) -> Path:
        """Write the video with these tracks drawn on it.

        Args:
            video: as `plot` takes it.
            path: of the file, such as `out.mp4`.
            style: how points are drawn; None as by default.
            truth: drawn at the right, where it is known.
            progress: as `PointTracker.track` takes it.

        Returns:
            The path.

        Raises:
            UserError: the video has other frames, or the file cannot be written.
        """
        from tracker.points.drawing import overlay

        frames = _frames_of(self, video)
        with reported(progress, len(frames), "drawing") as move:
            pictures = overlay(frames, self, truth, style)
            write_video(path, counted(pictures, len(frames), move), frames.fps)
        return Path(path)

    def _repr_html_(self: WholeTracks) -> str:
        """Return what notebooks show: a small sheet of the paths, a table of the first points."""
        from tracker.points.drawing import as_html

        return as_html(self)


def _frames_of(tracks: WholeTracks, video: VideoLike) -> Video:
    """Return the frames of a video that tracks run through.

    Raises:
        UserError: it has others.
    """
    loaded, length = load_video(video), tracks.num_frames
    stop = tracks.start + tracks.stride * (length - 1) + 1
    if len(loaded) != length and 1 < stop <= len(loaded):
        loaded = loaded.select(tracks.start, stop, tracks.stride)
    if len(loaded) != length:
        raise UserError(
            f"the tracks have {length} frames but {loaded.name} has {len(loaded)}; give the "
            "video that was tracked"
        )
    return loaded
