"""Points on a board: each step does what it says, and can be undone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.web.board import MOST_STEPS, Board, colour_rgb

SIZE, FRAMES = (64, 48), 10


@pytest.fixture
def board() -> Board:
    board = Board(SIZE, FRAMES, most=4)
    board.add(2, 10.5, 20.25)
    return board


def test_a_new_point_has_a_name_a_colour_and_its_place(board: Board) -> None:
    board.add(0, 0, 48)
    first, second = board.points
    assert first.marks == ((2, (10.5, 20.25)),) and first.anchors.places == ((2, 10.5, 20.25),)
    assert (first.name, second.name) == ("point 1", "point 2")
    assert first.colour != second.colour and len(colour_rgb(second.colour)) == 3


def test_marks_are_kept_in_the_order_of_frames(board: Board) -> None:
    board.place(1, 7, 1, 2)
    board.place(1, 0, 3, 4)
    board.hide(1, 5)
    (point,) = board.points
    assert point.marks == ((0, (3, 4)), (2, (10.5, 20.25)), (5, None), (7, (1, 2)))
    assert point.anchors.hidden == (5,) and [t for t, _, _ in point.anchors.places] == [0, 2, 7]
    board.place(1, 7, 9, 9)
    assert board.points[0].marks[-1] == (7, (9, 9))


def test_a_point_without_a_place_goes(board: Board) -> None:
    with pytest.raises(UserError, match="delete it instead"):
        board.hide(1, 2)
    board.hide(1, 3)
    board.unmark(1, 3)
    assert board.points[0].marks == ((2, (10.5, 20.25)),)
    board.unmark(1, 2)
    assert board.points == ()


def test_names_and_colours(board: Board) -> None:
    board.rename(1, " left eye ")
    board.recolour(1, "#00ff80")
    assert (board.points[0].name, board.points[0].colour) == ("left eye", "#00ff80")
    assert colour_rgb("#00ff80") == (0, 255, 128)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda b: b.add(10, 1, 1), "frames 0..9"),
        (lambda b: b.add(0, 65, 1), "outside the frame"),
        (lambda b: b.add(0, float("nan"), 1), "must be numbers"),
        (lambda b: b.add_all(Queries.grid(2, SIZE)), "5 points"),
        (lambda b: b.place(1, 0, -1, 1), "outside the frame"),
        (lambda b: b.place(7, 0, 1, 1), "point 7"),
        (lambda b: b.hide(1, 10), "frame 10"),
        (lambda b: b.rename(1, "two\nlines"), "one line"),
        (lambda b: b.rename(1, " "), "letters"),
        (lambda b: b.rename(1, 61 * "a"), "letters"),
        (lambda b: b.recolour(1, "red"), "#rrggbb"),
        (lambda b: b.recolour(1, "#12345g"), "#rrggbb"),
    ],
)
def test_what_cannot_be_changes_nothing(
    board: Board, step: Callable[[Board], None], words: str
) -> None:
    before = board.points
    with pytest.raises(UserError, match=words):
        step(board)
    assert board.points == before


places = st.tuples(st.integers(0, FRAMES - 1), st.floats(0, 64), st.floats(0, 48))
steps = st.one_of(
    st.tuples(st.just("add"), places),
    st.tuples(st.just("place"), places),
    st.tuples(st.just("hide"), st.tuples(st.integers(0, FRAMES - 1))),
    st.tuples(st.just("unmark"), st.tuples(st.integers(0, FRAMES - 1))),
    st.tuples(st.just("delete"), st.just(())),
    st.tuples(st.just("clear"), st.just(())),
)


@given(st.lists(st.tuples(steps, st.integers(1, 5)), max_size=30))
def test_undo_goes_back_step_by_step(asked: list) -> None:
    board = Board(SIZE, FRAMES, most=10)
    states = [board.points]
    for (name, values), number in asked:
        about = () if name in ("add", "clear") else (number,)
        try:
            getattr(board, name)(*about, *values)
        except UserError:
            assert board.points == states[-1]
        else:
            states.append(board.points)
        assert all(point.anchors.places for point in board.points)
    for expected in reversed(states[:-1]):
        assert board.can_undo
        board.undo()
        assert board.points == expected
    assert not board.can_undo
    board.undo()
    assert board.points == ()


def test_undone_steps_are_bounded_and_numbers_not_used_again(board: Board) -> None:
    for _ in range(MOST_STEPS + 50):
        board.add(0, 1, 1)
        board.delete(board.points[-1].number)
    board.add(0, 1, 1)
    assert board.points[-1].number == MOST_STEPS + 52
    for _ in range(MOST_STEPS):
        assert board.can_undo
        board.undo()
    assert not board.can_undo
