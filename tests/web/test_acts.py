"""What the canvas asks for is done, and what it never asks for is refused."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tracker.errors import UserError
from tracker.registry import make_tracker
from tracker.web.acts import act, painted_mask
from tracker.web.limits import Limits
from tracker.web.work import Work

SIZE = (64, 48)


@pytest.fixture
def work(clip: Path) -> Work:
    return Work(clip, 1, make_tracker("lk"), Limits(points=100))


def painted(size: tuple[int, int] = SIZE, box: tuple[slice, slice] | None = None) -> str:
    """Return a mask as the browser sends it."""
    pixels = np.zeros((size[1], size[0], 4), np.uint8)
    if box:
        pixels[box] = (0, 183, 255, 255)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


LEFT_TOP = (slice(0, 20), slice(0, 30))


def test_points_are_added_moved_and_hidden(work: Work) -> None:
    act(work, {"do": "add", "t": 3, "x": 10.5, "y": 7})
    act(work, {"do": "place", "number": 1, "t": 5, "x": 12, "y": 8})
    act(work, {"do": "hide", "number": 1, "t": 6})
    act(work, {"do": "rename", "number": 1, "name": "nose"})
    act(work, {"do": "recolour", "number": 1, "colour": "#123456"})
    (point,) = work.board.points
    assert point.marks == ((3, (10.5, 7)), (5, (12, 8)), (6, None))
    assert (point.name, point.colour) == ("nose", "#123456")
    act(work, {"do": "undo"})
    assert work.board.points[0].colour != "#123456"


@pytest.mark.parametrize("source", ["grid", "corners"])
def test_sources_keep_to_the_painted_mask(work: Work, source: str) -> None:
    act(work, {"do": source, "n": 4, "t": 2, "mask": None})
    everywhere = work.board.points
    assert len(everywhere) == {"grid": 16, "corners": 4}[source]
    act(work, {"do": "clear"})
    act(work, {"do": source, "n": 4, "t": 2, "mask": painted(box=LEFT_TOP)})
    places = [point.marks[0] for point in work.board.points]
    assert places and all(t == 2 and x <= 30 and y <= 20 for t, (x, y) in places)


def test_masks_are_where_they_are_opaque() -> None:
    mask = painted_mask(painted(box=LEFT_TOP), SIZE)
    expected = np.zeros((48, 64), bool)
    expected[LEFT_TOP] = True
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (painted(), "nothing is painted"),
        (painted((32, 48), LEFT_TOP), "paint it again"),
        ("data:image/png;base64,AAAA", "cannot be read"),
        ("data:image/png;base64,&&&&", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_bad_masks_are_refused(mask: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        painted_mask(mask, SIZE)


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"do": "open"},
        {"do": ["add"]},
        {"do": "add", "t": 0, "x": 1},
        {"do": "add", "t": "first", "x": 1, "y": 1},
        {"do": "add", "t": 1e400, "x": 1, "y": 1},
        {"do": "add", "t": 60, "x": 1, "y": 1},
        {"do": "grid", "n": 10**9, "t": 0},
        {"do": "grid", "n": 0, "t": 0},
        {"do": "grid", "n": 4, "t": -1},
        {"do": "corners", "n": 10**9, "t": 0},
        {"do": "corners", "n": 4, "t": 60},
        {"do": "delete", "number": 3},
    ],
)
def test_what_cannot_be_done_is_a_line(work: Work, request_: dict) -> None:
    with pytest.raises(UserError) as error:
        act(work, request_)
    assert "\n" not in str(error.value) and not work.board.points
