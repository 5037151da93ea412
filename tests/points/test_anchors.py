"""Rows of one name are anchors of one point."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_motion import anchored_points

from tracker.errors import UserError
from tracker.points.anchors import AnchoredPoint, changed_frames
from tracker.points.queries import Queries


def rows_of(points: list[AnchoredPoint]) -> list[tuple[int, float, float, str, bool]]:
    """Return t, x, y, name, hidden of all that is known."""
    nan = float("nan")
    return [
        *((t, x, y, point.name, False) for point in points for t, x, y in point.places),
        *((t, nan, nan, point.name, True) for point in points for t in point.hidden),
    ]


def queries_of(rows: list[tuple]) -> Queries:
    txy = [row[:3] for row in rows]
    return Queries(txy, [row[3] for row in rows], [row[4] for row in rows])


@settings(deadline=None, max_examples=60)
@given(eye=anchored_points("eye"), tail=anchored_points("tail"), data=st.data())
def test_rows_in_any_order_are_the_same_points(
    eye: AnchoredPoint, tail: AnchoredPoint, data: st.DataObject
) -> None:
    rows = data.draw(st.permutations(rows_of([eye, tail])))
    queries = queries_of(rows).check((48, 48), 12)
    points = sorted(queries.points, key=lambda point: point.name)
    assert points == [eye, tail]
    expected = [place for point in queries.points for place in point.places]
    if queries.has_anchors:
        np.testing.assert_array_equal(queries.placed.txy, np.float32(expected))
        assert queries.placed.names is None
    else:
        assert queries.placed is queries


def test_rows_without_a_name_are_points_by_themselves() -> None:
    queries = Queries([[0, 1, 2], [3, 4, 5], [6, 7, 8]], ["", "eye", ""])
    assert not queries.has_anchors and len(queries.points) == 3
    assert str(queries) == "Queries(3 points)"
    more = queries + Queries([[9, 1, 1]], ["eye"])
    assert [len(point.places) for point in more.points] == [1, 2, 1]
    assert str(more) == "Queries(3 points, 4 anchors)"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(3, 1, 1, "eye", 0), (3, 2, 2, "eye", 0)], "point 'eye' is named twice in frame 3"),
        ([(3, 1, 1, "eye", 0), (3, 0, 0, "eye", 1)], "both hidden and placed in frame 3"),
        ([(3, 0, 0, "eye", 1), (4, 0, 0, "eye", 1)], "point 'eye' is hidden in each frame"),
        ([(3, 0, 0, "", 1), (4, 1, 1, "", 0)], "a point without a name is hidden"),
        ([(3, 1, 1, "eye", 0), (12, 2, 2, "eye", 0)], r"query 1 of 'eye' is .* frames 0\.\.11"),
        ([(3, 1, 1, "eye", 0), (12, 2, 2, "eye", 1)], r"query 1 of 'eye' is .* frames 0\.\.11"),
        ([(3, 1, 1, "eye", 0), (5, 49, 2, "eye", 0)], "query 1 of 'eye' is .* outside the frame"),
    ],
)
def test_what_contradicts_itself_is_refused(rows: list[tuple], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        queries_of(rows).check((48, 48), 12)
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=30)
@given(point=anchored_points())
def test_every_kind_of_file_holds_anchors(
    point: AnchoredPoint, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, rows = tmp_path_factory.mktemp("anchors"), rows_of([point])
    expected = queries_of(rows)
    with (folder / "q.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "t", "x", "y", "hidden"])
        for t, x, y, name, hidden in rows:
            writer.writerow([name, t, *(["", "", "1"] if hidden else [x, y, ""])])
    entries = [
        {"t": t, "name": name} | ({"hidden": True} if hidden else {"x": x, "y": y})
        for t, x, y, name, hidden in rows
    ]
    (folder / "q.json").write_text(json.dumps(entries))
    np.savez(folder / "q.npz", queries=expected.txy, names=expected.names, hidden=expected.hidden)
    for path in folder.iterdir():
        assert Queries.load(path) == expected, path.name
    table = pd.DataFrame(rows, columns=["t", "x", "y", "name", "hidden"])
    assert Queries.of(table) == expected


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("q.csv", "t,x,y,hidden\n0,1,2,perhaps\n", "line 2 of .*hidden is 'perhaps'"),
        ("q.csv", "t,x,y,hidden\n,,,1\n", "line 2 of .*three numbers"),
        ("q.json", '[{"t": 0, "name": "eye", "hidden": 1}]', "entry 0"),
        ("q.json", '[{"name": "eye", "hidden": true}]', "entry 0"),
    ],
)
def test_malformed_hidden_rows_are_named(name: str, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=words):
        Queries.load(tmp_path / name)


EYE = AnchoredPoint("eye", ((2, 5.0, 5.0), (8, 9.0, 9.0)), (4,))


def test_what_is_known_of_a_frame_is_replaced() -> None:
    assert EYE.placed(4, 1, 2).places == ((2, 5, 5), (4, 1, 2), (8, 9, 9))
    assert EYE.placed(4, 1, 2).hidden == () and EYE.placed(2, 0, 0).places[0] == (2, 0, 0)
    assert EYE.hidden_in(range(7, 10)) == AnchoredPoint("eye", ((2, 5.0, 5.0),), (4, 7, 8, 9))
    with pytest.raises(UserError, match="'eye' would be hidden wherever"):
        EYE.hidden_in(range(12))


@pytest.mark.parametrize(
    ("new", "frames"),
    [
        (EYE, range(0)),
        (EYE.placed(5, 1, 1), range(3, 8)),
        (EYE.placed(10, 1, 1), range(9, 12)),
        (EYE.placed(0, 1, 1), range(2)),
        (EYE.placed(8, 1, 1), range(3, 12)),
        (EYE.hidden_in([5]), range(3, 8)),
        (EYE.hidden_in([8]), range(3, 12)),
        (AnchoredPoint("eye", ((3, 1.0, 1.0),)), range(12)),
    ],
)
def test_only_frames_between_places_that_stay_may_change(new: AnchoredPoint, frames: range) -> None:
    assert list(changed_frames(EYE, new, 12)) == list(frames)


def test_a_place_is_followed_as_far_as_it_is_asked_about() -> None:
    assert AnchoredPoint("a", ((5, 0, 0),)).reaches(range(12)) == [(0, 11)]
    three = AnchoredPoint("a", ((2, 0, 0), (5, 0, 0), (7, 0, 0), (9, 0, 0)))
    assert three.reaches(range(1, 12)) == [(1, 11), (2, 7), (5, 9), (1, 11)]
