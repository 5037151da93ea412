"""The bounded memory: what it holds, what it lets go, and never more than its limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracker.memory import BoundedMemory


def test_what_was_not_asked_for_longest_goes_first() -> None:
    memory = BoundedMemory(10)
    memory.keep("a", 1, 4)
    memory.keep("b", 2, 4)
    assert memory.find("a") == 1
    memory.keep("c", 3, 4)
    assert [memory.find(key) for key in "abc"] == [1, None, 3]


def test_a_value_larger_than_the_limit_is_not_kept() -> None:
    memory = BoundedMemory(10)
    memory.keep("a", 1, 4)
    memory.keep("b", 2, 11)
    assert memory.find("b") is None and memory.find("a") == 1
    memory.keep("a", 3, 11)
    assert memory.find("a") is None and memory.held == 0


@given(st.lists(st.integers(1, 25), max_size=40))
def test_it_holds_the_latest_that_fit(sizes: list[int]) -> None:
    memory = BoundedMemory(20)
    for key, size in enumerate(sizes):
        memory.keep(key, size, size)
        assert memory.held <= 20
    total, fitting = 0, [(key, size) for key, size in enumerate(sizes) if size <= 20]
    for key, size in reversed(fitting):
        total += size
        assert memory.find(key) == (size if total <= 20 else None)
        if total > 20:
            break
