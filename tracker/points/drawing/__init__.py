"""Pictures of tracks: dots and trails over the video, side by side with the truth, contact sheets.

A filled dot is visible (paler where the tracker is less certain), a hollow one is hidden.
Neighbours have different colours.
"""

from tracker.points.drawing.colours import point_colours
from tracker.points.drawing.marks import DrawingStyle, draw_tracks
from tracker.points.drawing.notebook import as_html
from tracker.points.drawing.pictures import (
    contact_sheet,
    overlay,
    query_sheet,
    sheet_frames,
    write_image,
)

__all__ = [
    "DrawingStyle",
    "as_html",
    "contact_sheet",
    "draw_tracks",
    "overlay",
    "point_colours",
    "query_sheet",
    "sheet_frames",
    "write_image",
]
