"""What may be a prompt, and what its objects are called."""

from __future__ import annotations

import pytest

from tracker.errors import UserError
from tracker.prompting.words import check_prompts, either, noun_of


def test_prompts_are_trimmed_and_each_is_asked_for_once() -> None:
    assert check_prompts(" a cat ") == ["a cat"]
    assert check_prompts(["a dog", "a cat", "a dog "]) == ["a dog", "a cat"]
    assert check_prompts(["猫", "7"]) == ["猫", "7"]


@pytest.mark.parametrize("prompts", ["", "  ", [], ["a cat", "?!"], "a\ncat", [3]])
def test_prompts_of_nothing_are_refused(prompts: object) -> None:
    with pytest.raises(UserError, match="a cat"):
        check_prompts(prompts)


@pytest.mark.parametrize(
    ("prompt", "noun"),
    [
        ("a cat", "cat"),
        ("The red  ball", "red  ball"),
        ("an apple", "apple"),
        ("anteater", "anteater"),
        ("a", "a"),
        ("a the", "the"),
    ],
)
def test_objects_are_called_by_the_noun(prompt: str, noun: str) -> None:
    assert noun_of(prompt) == noun


def test_prompts_are_listed() -> None:
    assert either(["a cat"]) == "'a cat'" and either(["x", "y"]) == "'x' or 'y'"
