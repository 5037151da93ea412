"""All that is made of a video in one pass over its frames."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tracker.analysis.cuts import ContentsFinder
from tracker.cli.options.outputs import OutputFiles
from tracker.errors import log
from tracker.points.drawing import DrawingStyle, overlay, sheet_frames
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.registry import BlockTracker, Tracker
from tracker.video.passing import PassingFrames
from tracker.video.video import Video
from tracker.video.writing import VideoFile


class OnePass:
    """Tracks a video, looks for cuts and draws, all while its frames pass once.

    Where points are followed backwards as well, a video that is too long to be held is read a
    second time to be drawn.

    Args:
        video: what is tracked.
        files: to be written.
        style: how points are drawn.

    Attributes:
        seconds_drawing: that drawing took so far.
    """

    def __init__(self, video: Video, files: OutputFiles, style: DrawingStyle) -> None:
        self._files, self._style = files, style
        self._finder = ContentsFinder()
        self._frames = PassingFrames(video, self._finder.see, sheet_frames(video))
        path = next((path for path, kind in files.paths.items() if kind == "mp4"), None)
        self._drawn = None if path is None else VideoFile(path, video.fps)
        self.seconds_drawing = 0.0

    def track(self, tracker: Tracker, queries: Queries, progress: Progress) -> Tracks:
        """Return tracks of the queries; warns of cuts, and of frames that show nothing.

        Args:
            tracker: that follows them.
            queries: in frames and pixels of the video.
            progress: called with steps done and in all.

        Raises:
            UserError: frames cannot be decoded, or the drawn video cannot be written.
        """
        video = self._frames.video
        if self._drawn is not None and isinstance(tracker, BlockTracker):
            tracks = tracker.track_blocks(video, queries, self._draw, progress)
        else:
            tracks = tracker.track(video, queries, progress)
        self._frames.finish()
        for line in self._finder.contents().warnings():
            log.warning("%s: %s", video.name, line)
        return tracks

    def write(self, tracks: Tracks) -> Iterator[Path]:
        """Write the files of all tracks, and yield each; see `OutputFiles.write`."""
        video, drawn = self._frames.video, self._drawn
        whole = drawn is not None and drawn.num_frames == len(video)
        return self._files.write(video, tracks, self._style, drawn=drawn if whole else None)

    def _draw(self, tracks: Tracks) -> None:
        """Draw those frames that the tracks reach by now."""
        assert self._drawn is not None  # or nobody would call this
        started = time.perf_counter()
        video, done = self._frames.video, self._drawn.num_frames
        for picture in overlay(video, tracks, style=self._style, start=done):
            self._drawn.add(picture)
        self.seconds_drawing += time.perf_counter() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn is not None:
            self._drawn.discard()
