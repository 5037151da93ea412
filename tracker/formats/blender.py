"""Blender: a script for its text editor that makes tracking markers.

Open the video as a movie clip, then run the script; each point becomes a track of the clip. Origin
bottom left, x and y as shares of width and height (a pixel of the clip may have another size than
one of the tracks); frames from 1, as clips count. In hidden frames the marker is there, but muted
(disabled). The clip has its own rate; the script warns where it differs from the tracks' video.
"""

from __future__ import annotations

import json
from pathlib import Path

from tracker.formats.paths import Paths

_SCRIPT = '''\
"""Makes tracking markers of points that vjepa-tracker followed.

Open the video in the Movie Clip Editor, then run this in the Text Editor, or from a shell:
blender shot.blend --python tracks.blender.py
"""

import json

import bpy

TRACKS = json.loads(r"""
{data}
""")


def find_clip():
    """Return the clip that a Movie Clip Editor shows, or else the last one of the file."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "CLIP_EDITOR" and area.spaces.active.clip:
                return area.spaces.active.clip
    if not bpy.data.movieclips:
        raise RuntimeError("open the video as a movie clip first, then run this script again")
    return bpy.data.movieclips[-1]


def main():
    clip = find_clip()
    if clip.fps and abs(clip.fps - TRACKS["fps"]) > 0.01:
        print("note: the clip has", clip.fps, "fps, the tracked video", TRACKS["fps"])
    for entry in TRACKS["points"]:
        if not entry["markers"]:
            continue
        track = clip.tracking.tracks.new(name=entry["name"], frame=entry["markers"][0][0])
        for frame, x, y, seen in entry["markers"]:
            marker = track.markers.insert_frame(frame, co=(x, y))
            marker.mute = not seen


main()
'''


def write_blender(paths: Paths, path: Path) -> None:
    """Write a Python script for Blender; see `tracker.formats.blender`."""
    shares = paths.upwards() / paths.size
    points = []
    for point, name in enumerate(paths.names_of(lambda letter: letter not in '"\\')):
        markers = [
            [int(paths.frames[t]), *shares[point, t].round(8).tolist(), bool(seen)]
            for t, seen in enumerate(paths.seen[point])
            if paths.known[point, t]
        ]
        points.append({"name": name, "markers": markers})
    data = {"size": paths.size, "fps": paths.fps, "points": points}
    lines = [f'"{key}": {json.dumps(value)}' for key, value in data.items() if key != "points"]
    rows = ",\n".join(json.dumps(entry) for entry in points)
    text = "{" + ", ".join(lines) + ', "points": [\n' + rows + "\n]}"
    path.write_text(_SCRIPT.replace("{data}", text), encoding="utf-8")
