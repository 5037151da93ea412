"""What a visitor can take home: the drawn video, a contact sheet, and tracks in all formats."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

from tracker.points.drawing import DrawingStyle, contact_sheet, write_image
from tracker.video.writing import write_video
from tracker.web.drawing import View, drawn_frames
from tracker.web.visits import Visit
from tracker.web.work import Work

FOLDER = "download"

KINDS = {
    "mp4": "the video with the points drawn",
    "png": "contact sheet with the points drawn",
    "npz": "all arrays, for Python",
    "csv": "table, a row for each point and frame",
}
"""What can be downloaded, and what it is."""


def write_download(
    visit: Visit, kind: str, view: View, progress: Callable[[int, int], None]
) -> Path:
    """Write a file into the visitor's folder; the download before goes.

    Args:
        visit: whose video and points.
        kind: one of `KINDS`.
        view: how the page shows the tracks.
        progress: called with frames drawn and frames in all.

    Returns:
        The file.

    Raises:
        UserError: points have not been followed, or the file cannot be written.
    """
    work = visit.work
    for old in visit.folder.glob(f"{FOLDER}-*"):
        rmtree(old, ignore_errors=True)
    folder = visit.folder / f"{FOLDER}-{secrets.token_hex(4)}"
    folder.mkdir()
    path = folder / f"{Path(work.name).stem}-tracks.{kind}"
    _WRITERS[kind](work, path, view, progress)
    return path


def _write_video(work: Work, path: Path, view: View, progress: Callable[[int, int], None]) -> None:
    with work.lock:
        points, tracks = work.board.points, work.tracks().shown_from(view.certainty)
    drawn = 0

    def on_frame() -> None:
        nonlocal drawn
        drawn += 1
        progress(drawn, work.num_frames)

    write_video(path, drawn_frames(work.reopened(), tracks, points, view), work.fps, on_frame)


def _write_sheet(work: Work, path: Path, view: View, progress: Callable[[int, int], None]) -> None:
    style = DrawingStyle(trail=view.trail, names=view.names)
    tracks = work.tracks().shown_from(view.certainty)
    write_image(path, contact_sheet(work.reopened(), tracks, style=style))


def _write_tracks(work: Work, path: Path, view: View, progress: Callable[[int, int], None]) -> None:
    work.tracks().shown_from(view.certainty).save(path)


_WRITERS = {"mp4": _write_video, "png": _write_sheet, "npz": _write_tracks, "csv": _write_tracks}
