"""The videos below a folder, those that cannot be opened apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tracker.errors import UserError
from tracker.files import files_below
from tracker.video.loading import load_video
from tracker.video.video import Video

VIDEO_SUFFIXES = {".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".gif", ".mpg", ".ts"}


@dataclass(frozen=True)
class VideoFolder:
    """What a folder holds.

    Attributes:
        videos: by path, in its order.
        skipped: why files could not be opened, by path.
    """

    videos: dict[str, Video]
    skipped: dict[str, str]


def open_video_folder(folder: str | Path) -> VideoFolder:
    """Open every file below a folder, subfolders included, that has a video's suffix.

    Raises:
        UserError: no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"folder {folder} does not exist; name a folder of videos")
    found = VideoFolder({}, {})
    for path in files_below(root, VIDEO_SUFFIXES):
        try:
            found.videos[str(path)] = load_video(path)
        except UserError as error:
            found.skipped[str(path)] = str(error)
    return found
