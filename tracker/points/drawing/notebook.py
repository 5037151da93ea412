"""Tracks as notebooks show them: what they are, how they move, and where the first of them start.

Whatever the number of points and frames, it is one small picture and a short table.
"""

from __future__ import annotations

import base64
from html import escape

import cv2
import numpy as np

from tracker.points.drawing.pictures import path_sheet
from tracker.points.drawn import DrawnTracks

MOST_ROWS = 8
"""Of the table; the other points are counted."""

_CELL = "padding: 0 1em 0 0; text-align: left"


def as_html(tracks: DrawnTracks) -> str:
    """Return a title, a contact sheet of the paths without the video, and a table of points."""
    title = f"<b>{escape(repr(tracks))}</b>"
    if tracks.xy.size == 0:
        return f"<div>{title}</div>"
    picture = cv2.cvtColor(path_sheet(tracks), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    source = "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
    image = f'<img src="{source}" alt="paths of the points" style="max-width: 100%">'
    return f"<div>{title}<br>{image}{_table(tracks)}</div>"


def _table(tracks: DrawnTracks) -> str:
    names = tracks.names or ("",) * len(tracks)
    rows = [_row("th", ["point", "name", "t", "x", "y", "visible"])]
    for point, (t, x, y) in enumerate(tracks.queries[:MOST_ROWS].tolist()):
        seen = f"{np.mean(tracks.visible[point]):.0%}"
        cells = [str(point), _short(names[point]), f"{t:g}", f"{x:.1f}", f"{y:.1f}", seen]
        rows.append(_row("td", cells))
    more = len(tracks) - MOST_ROWS
    note = f"<div>... and {more} more</div>" if more > 0 else ""
    return f"<table>{''.join(rows)}</table>{note}"


def _row(tag: str, cells: list[str]) -> str:
    shown = (f'<{tag} style="{_CELL}">{escape(cell)}</{tag}>' for cell in cells)
    return f"<tr>{''.join(shown)}</tr>"


def _short(name: str) -> str:
    return name if len(name) <= 40 else name[:39] + "…"
