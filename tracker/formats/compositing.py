"""Nuke, After Effects and SynthEyes.

- `nuke`: a Tracker4 node, for the node graph. Origin bottom left, the corner of the first pixel at
  0; frames from 1. In hidden frames a track has no key and is switched off. The script's root has
  the video's rate, size and frames.
- `nuke-ascii`: lines of a frame number and x, y of each point, for `Import Time+value Ascii`. As
  above; hidden frames hold the tracker's guess, for every line must have all columns.
- `ae`: keyframe data to paste on a layer, where each point becomes a Point Control. Origin top
  left, the corner of the first pixel at 0; frames from 0. Hidden frames have no key. The rate
  stands in `Units Per Second`. The format has no names: controls are in the order of the points.
- `syntheyes`: 2-D tracker paths. x and y run from -1 to 1, right and down, between the centres of
  the outermost pixels; frames from 0. Hidden frames have no line. The format has no rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tracker.formats.paths import CENTRE, Paths, number

_NUKE_COLUMNS = """\
5 1 20 enable e
3 1 75 name name
2 1 58 track_x track_x
2 1 58 track_y track_y
2 1 63 offset_x offset_x
2 1 63 offset_y offset_y
4 1 27 T T
4 1 27 R R
4 1 27 S S
2 0 45 error error
1 1 0 error_min error_min
1 1 0 error_max error_max
1 1 0 pattern_x pattern_x
1 1 0 pattern_y pattern_y
1 1 0 pattern_r pattern_r
1 1 0 pattern_t pattern_t
1 1 0 search_x search_x
1 1 0 search_y search_y
1 1 0 search_r search_r
1 1 0 search_t search_t
2 1 0 key_track key_track
2 1 0 key_search_x key_search_x
2 1 0 key_search_y key_search_y
2 1 0 key_search_r key_search_r
2 1 0 key_search_t key_search_t
2 1 0 key_track_x key_track_x
2 1 0 key_track_y key_track_y
2 1 0 key_track_r key_track_r
2 1 0 key_track_t key_track_t
2 1 0 key_centre_offset_x key_centre_offset_x
2 1 0 key_centre_offset_y key_centre_offset_y""".splitlines()
"""The table of a Tracker4: kind, flags and width of each column, and its name twice."""

_NUKE_BOXES = "-15 -15 15 15 -22 -22 22 22"
"""Pattern and search area round a track, in pixels, should somebody track on from it in Nuke."""


def write_nuke(paths: Paths, path: Path) -> None:
    """Write a Nuke script with one Tracker4 node; see `tracker.formats.compositing`."""
    width, height = paths.size
    xy, first = paths.upwards(), paths.first_frame
    last = int(paths.frames[-1]) if len(paths.frames) else first
    names = paths.names_of(lambda letter: letter not in '"\\{}[]$')
    start = int(paths.frames[0]) if len(paths.frames) else first
    still = f"{{curve K x{start} 0}}"
    rows = []
    for point, name in enumerate(names):
        seen = paths.seen[point]
        frames = paths.frames[seen]
        error = 1 - paths.confidence[point, seen]
        worst = number(error.max()) if len(error) else "0"
        curves = [_curve(frames, values) for values in (*xy[point, seen].T, error)]
        cells = [
            _switches(paths.frames, seen),
            f'"{name}"',
            *curves[:2],
            *(still, still, "1 0 0"),
            *(curves[2], "0", worst),
            *(_NUKE_BOXES, "{} " * 11),
        ]
        rows.append(f" {{ {' '.join(cells)}}}")
    columns = "\n".join(f"{{ {column} 1 }}" for column in _NUKE_COLUMNS)
    path.write_text(
        f"Root {{\n inputs 0\n frame {first}\n first_frame {first}\n last_frame {last}\n"
        f" lock_range true\n fps {number(paths.fps)}\n"
        f' format "{width} {height} 0 0 {width} {height} 1 video"\n}}\n'
        f"Tracker4 {{\n inputs 0\n"
        f" tracks {{ {{ 1 {len(_NUKE_COLUMNS)} {len(names)} }}\n{{ {columns} }}\n{{\n"
        + "\n".join(rows)
        + f"\n}} }}\n reference_frame {start}\n name Tracker_vjepa\n}}\n",
        encoding="utf-8",
    )


def _curve(frames: np.ndarray, values: np.ndarray) -> str:
    """Return an animation: `x` and a frame, then a value for it and each that follows at once."""
    parts, due = [], None
    for frame, value in zip(frames, values, strict=True):
        jump = "" if frame == due else f"x{frame} "
        parts.append(f"{jump}{number(value)}")
        due = frame + 1
    return f"{{curve {' '.join(parts)}}}" if parts else "{}"


def _switches(frames: np.ndarray, on: np.ndarray) -> str:
    """Return a constant animation of 0 and 1 with a key at each change."""
    keys = [
        f"x{frame} {int(now)}"
        for number, (frame, now) in enumerate(zip(frames, on, strict=True))
        if number == 0 or now != on[number - 1]
    ]
    return f"{{curve K {' '.join(keys)}}}" if keys else "0"


def write_nuke_ascii(paths: Paths, path: Path) -> None:
    """Write columns of frame, x1, y1, x2, y2 ...; see `tracker.formats.compositing`."""
    xy = paths.upwards()
    placed = [point for point in range(len(xy)) if paths.known[point].any()]
    for point in placed:  # a line has no room for what is not a number
        known = paths.known[point]
        for axis in range(2):
            xy[point, :, axis] = np.interp(
                paths.frames, paths.frames[known], xy[point, known, axis]
            )
    lines = [f"# {paths.size[0]}x{paths.size[1]}, {number(paths.fps)} fps; column 1 is the frame"]
    lines += [
        f"# columns {2 * place + 2} and {2 * place + 3}: x and y of {paths.names[point]}"
        for place, point in enumerate(placed)
    ]
    for t, frame in enumerate(paths.frames):
        values = xy[placed, t].ravel()
        lines.append(" ".join([str(frame), *map(number, values)]))
    _write_lines(path, lines)


def write_after_effects(paths: Paths, path: Path) -> None:
    """Write keyframe data to paste on a layer; see `tracker.formats.compositing`."""
    width, height = paths.size
    lines = [
        "Adobe After Effects 8.0 Keyframe Data",
        "",
        f"\tUnits Per Second\t{number(paths.fps)}",
        f"\tSource Width\t{width}",
        f"\tSource Height\t{height}",
        "\tSource Pixel Aspect Ratio\t1",
        "\tComp Pixel Aspect Ratio\t1",
        "",
    ]
    for point in range(len(paths.names)):
        lines += [f"Effects\tPoint Control #{point + 1}\tPoint #2", "\tFrame\tX pixels\tY pixels"]
        for t in np.flatnonzero(paths.seen[point]):
            x, y = paths.xy[point, t]
            lines.append(f"\t{paths.frames[t]}\t{number(x)}\t{number(y)}")
        lines.append("")
    _write_lines(path, [*lines, "", "End of Keyframe Data"])


SYNTHEYES_FIRST, SYNTHEYES_NEXT, SYNTHEYES_AGAIN = 30, 7, 15
"""Outcome codes: bits of run 1, enabled 2, found 4, key 8, jumped 16. A track begins with a key,
and has another where it goes on after a gap."""


def write_syntheyes(paths: Paths, path: Path) -> None:
    """Write lines of name, frame, u, v and outcome; see `tracker.formats.compositing`."""
    extent = np.maximum(np.array(paths.size) - 1, 1)
    uv = 2 * (paths.xy - CENTRE) / extent - 1
    lines = []
    for point, name in enumerate(paths.names_of(lambda letter: not letter.isspace())):
        before = None
        for t in np.flatnonzero(paths.seen[point]):
            frame = paths.frames[t]
            outcome = SYNTHEYES_NEXT if before == frame - 1 else SYNTHEYES_AGAIN
            outcome = SYNTHEYES_FIRST if before is None else outcome
            u, v = uv[point, t]
            lines.append(f"{name} {frame} {u:.8f} {v:.8f} {outcome}")
            before = frame
    _write_lines(path, lines)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
