"""Figures are drawn as PNG."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tracker.analysis.figures import Panel, Row, draw_lines, draw_rows, evenly


def open_png(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def test_figures_are_drawn() -> None:
    map_, frame = np.eye(3), np.zeros((6, 9, 3))
    outline = np.zeros((6, 9), bool)
    outline[2:4] = True
    panels = [Panel(frame, "f", outline=outline), Panel(map_, under=frame, point=(0.5, 0.5))]
    one = open_png(draw_rows("t", [Row("r", panels, "bar")], 2 / 3))
    two = open_png(draw_rows("t", [Row("r", panels, "bar"), Row("s", panels[:1])], 2 / 3))
    assert two.size[0] == one.size[0] and two.size[1] > one.size[1]
    # Drawn in colour: the map, its bar, the outline.
    colours = np.asarray(one.convert("RGB")).astype(int)
    assert (np.abs(colours[..., 0] - colours[..., 2]) > 60).mean() > 0.01
    lines = open_png(draw_lines("t", [0, 2, 4], {"raw": np.ones(3)}, [2]))
    assert lines.size[0] > 500


@pytest.mark.parametrize(
    ("count", "shown", "expected"), [(9, 3, [0, 4, 8]), (2, 8, [0, 1]), (1, 4, [0])]
)
def test_evenly(count: int, shown: int, expected: list[int]) -> None:
    assert evenly(count, shown) == expected
