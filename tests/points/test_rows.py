"""Queries from what people hold points in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import UserError
from tracker.points.queries import Queries

POINT = st.tuples(st.integers(0, 50), st.floats(0, 640, width=32), st.floats(0, 360, width=32))
NAME = st.text(max_size=8).filter(str.isprintable)


@settings(deadline=None, max_examples=40)
@given(points=st.lists(POINT, min_size=1, max_size=6))
def test_every_kind_of_rows_gives_the_same_queries(points: list[tuple]) -> None:
    expected = Queries(np.array(points))
    frame = pd.DataFrame(points, columns=["t", "x", "y"])
    rows = np.array(points)
    for given_rows in (points, [list(p) for p in points], rows, torch.from_numpy(rows), frame):
        assert Queries.of(given_rows) == expected
    assert Queries.of(expected) is expected


@settings(deadline=None, max_examples=40)
@given(points=st.lists(st.tuples(POINT, NAME), min_size=1, max_size=6))
def test_names_of_a_table_and_of_texts_are_kept(points: list[tuple]) -> None:
    rows, names = [row for row, _ in points], [name for _, name in points]
    frame = pd.DataFrame(rows, columns=["t", "x", "y"])[["y", "t", "x"]].assign(name=names, note=1)
    queries = Queries.of(frame)
    assert queries == Queries(rows, names)
    written = [f"{name}={t},{x!r},{y!r}" for (t, x, y), name in points]
    parsed = Queries.parse(written)
    np.testing.assert_array_equal(parsed.txy, queries.txy)
    stripped = tuple(name.strip() for name in names)
    assert parsed.names == (stripped if any(stripped) else None)


def test_points_without_a_name_in_a_table_have_an_empty_one() -> None:
    table = pd.DataFrame({"t": [0, 1, 2], "x": 5, "y": 6, "name": ["eye", None, np.nan]})
    assert Queries.of(table).names == ("eye", "", "")
    assert Queries.of(table.assign(name=[1, 2, 3])).names == ("1", "2", "3")


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        ("points.csv", "Queries.load"),
        ({"eye": (0, 1, 2)}, "dict"),
        (7, "int"),
        ([0, 1, 2], "rows of t, x, y"),
        ([(1, 2)], "rows of t, x, y"),
        ([(0, "a", 2)], "numbers"),
        (pd.DataFrame({"frame": [0], "x": [1], "y": [2]}), "no column t"),
        (pd.DataFrame({"t": [0], "x": ["left"], "y": [2]}), "not numbers"),
    ],
    ids=str,
)
def test_what_holds_no_points_is_refused(queries: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Queries.of(queries)


def test_no_rows_are_no_points() -> None:
    assert len(Queries.of([])) == 0
    with pytest.raises(UserError, match="no query points"):
        Queries.of([]).check((64, 48), 5)


@settings(deadline=None, max_examples=60)
@given(
    x=st.floats(0, 640, width=32),
    y=st.floats(0, 360, width=32),
    size=st.sampled_from([(640, 360), (360, 640)]),
)
def test_swapped_coordinates_are_told_as_such(x: float, y: float, size: tuple[int, int]) -> None:
    x, y = (x, y) if size == (640, 360) else (y, x)
    fits = y <= size[0] and x <= size[1]
    queries = Queries([(0, x, y), (0, y, x)])
    if fits:
        assert queries.check(size, 1) is queries  # nothing is wrong with either order
        return
    with pytest.raises(UserError, match="outside the frame") as told:
        Queries([(0, y, x)]).check(size, 1)
    assert "x and y look swapped" in str(told.value)
    with pytest.raises(UserError, match="outside the frame") as told:
        queries.check(size, 1)  # one is right as it is, so swapping is no remedy
    assert "swapped" not in str(told.value)


@settings(deadline=None, max_examples=60)
@given(shares=st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), min_size=1))
def test_shares_of_the_frame_are_warned_of(shares: list[tuple[float, float]]) -> None:
    import logging

    class Told(logging.Handler):
        lines: list[str]

        def emit(self, record: logging.LogRecord) -> None:
            self.lines.append(record.getMessage())

    handler, log = Told(), logging.getLogger("tracker")
    handler.lines = []
    log.addHandler(handler)
    try:
        queries = Queries.of([(0, x, y) for x, y in shares])
        queries.check((64, 48), 1)
    finally:
        log.removeHandler(handler)
    has_fractions = any(value not in (0, 1) for share in shares for value in share)
    assert [("shares of width and height" in line) for line in handler.lines] == (
        [True] if has_fractions else []
    )
