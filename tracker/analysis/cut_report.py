"""The report on cuts: shots, stretches without content, and the change from frame to frame."""

from __future__ import annotations

import numpy as np

from tracker.analysis.cuts import CUT, Contents, find_contents
from tracker.analysis.features import Step
from tracker.analysis.figures import Panel, Row, draw_lines, draw_rows, evenly
from tracker.analysis.report import Figure, Report, Table
from tracker.video.video import Video

SHOWN_SHOTS = 8

SUMMARY = """\
A shot begins where a frame differs from the one before in arrangement and colours both; a flash is
no cut, and a fade none either. Frames that are black, white or of one colour, that fade, or that
repeat the one before hold little to follow. Points are followed well within a shot: track each by
itself with --start and --stop.
"""


def analyze_cuts(video: Video, step: Step) -> Report:
    """Find the shots of a video, and what is without content.

    Args:
        video: of any length.
        step: called after each frame.
    """
    contents = find_contents(video, lambda done, total: step())
    shots = contents.shots()
    numbers: dict[str, object] = {
        "cuts": contents.cuts,
        "shots": [{"first": first, "last": last} for first, last in shots],
        "stretches": [vars(stretch) for stretch in contents.stretches],
        "change": contents.change.tolist(),
    }
    tables = [
        Table(
            f"Shots of {video.name}",
            ["shot", "first frame", "last frame", "seconds"],
            [
                (str(number), first, last, (last - first + 1) / video.fps)
                for number, (first, last) in enumerate(shots)
            ],
        )
    ]
    if contents.stretches:
        rows = [(stretch.kind, stretch.first, stretch.last) for stretch in contents.stretches]
        tables.append(Table("Little to follow in", ["what", "first frame", "last frame"], rows))
    facts: dict[str, object] = {"video": video.name, "frames": len(video), "threshold": CUT}
    figures = [_curve(video, contents), _first_frames(video, shots)]
    return Report("cuts", "Cuts", SUMMARY, facts, numbers, tables, figures)


def _curve(video: Video, contents: Contents) -> Figure:
    png = draw_lines(
        f"Change from frame to frame, {video.name}",
        range(len(video)),
        {"change": contents.change},
        contents.cuts,
        ylabel="change, of 2",
        marked="cuts",
    )
    return Figure("change", png, f"What is above {CUT} and no flash is a cut.")


def _first_frames(video: Video, shots: list[tuple[int, int]]) -> Figure:
    chosen = [shots[i][0] for i in evenly(len(shots), SHOWN_SHOTS)]
    panels = [Panel(video[t] / np.float32(255), f"frame {t}") for t in chosen]
    width, height = video.size
    png = draw_rows(f"First frames of shots, {video.name}", [Row("", panels)], height / width)
    return Figure("shots", png, "The frames that shots begin with, in temporal order.")
