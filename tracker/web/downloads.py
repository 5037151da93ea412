"""What a visitor can take home: the drawn video, a contact sheet, and tracks in all formats."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from shutil import make_archive, rmtree

from tracker.formats.registry import FORMATS, Format, save_tracks
from tracker.points.drawing import DrawingStyle, contact_sheet, write_image
from tracker.video.writing import write_video
from tracker.web.drawing import View, drawn_frames
from tracker.web.visits import Visit
from tracker.web.work import Work

FOLDER = "download"


def _format_kinds(name: str, known: Format) -> dict[str, str]:
    """Return the downloads of a format by name, and what each is; one for each kind of file."""
    if len(known.suffixes) == 1:
        return {name: known.summary}
    return {f"{name} {suffix}": known.summary for suffix in known.suffixes}


KINDS = {
    "mp4": "the video with the points drawn",
    "png": "contact sheet with the points drawn",
    "npz": "all arrays, for Python",
    **{
        k: what for name, known in FORMATS.items() for k, what in _format_kinds(name, known).items()
    },
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
        UserError: points have not been followed, the format's extra is not installed, or the file
            cannot be written.
    """
    for old in visit.folder.glob(f"{FOLDER}-*"):
        rmtree(old, ignore_errors=True)
    folder = visit.folder / f"{FOLDER}-{secrets.token_hex(4)}"
    folder.mkdir()
    stem = f"{Path(visit.work.name).stem}-tracks"
    if kind == "mp4":
        return _write_video(visit.work, folder / f"{stem}.mp4", view, progress)
    tracks = visit.work.tracks().shown_from(view.certainty)
    if kind == "png":
        style = DrawingStyle(trail=view.trail, names=view.names)
        sheet = contact_sheet(visit.work.reopened(), tracks, style=style)
        return write_image(folder / f"{stem}.png", sheet)
    if kind == "npz":
        return tracks.save(folder / f"{stem}.npz")
    name, _, suffix = kind.partition(" ")
    path = folder / f"{stem}{suffix or FORMATS[name].suffixes[0]}"
    save_tracks(tracks, path, name)
    if path.is_dir():  # a browser downloads files alone
        return Path(make_archive(str(path), "zip", path))
    return path


def _write_video(work: Work, path: Path, view: View, progress: Callable[[int, int], None]) -> Path:
    with work.lock:
        points, tracks = work.board.points, work.tracks().shown_from(view.certainty)
    drawn = 0

    def on_frame() -> None:
        nonlocal drawn
        drawn += 1
        progress(drawn, work.num_frames)

    write_video(path, drawn_frames(work.reopened(), tracks, points, view), work.fps, on_frame)
    return path
