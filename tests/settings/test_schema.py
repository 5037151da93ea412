"""Settings against the signatures of what takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import UserError
from tracker.settings.schema import (
    check_settings,
    describe,
    find_target,
    fits,
    nearest,
    parameters,
    required,
)


@dataclass(frozen=True)
class Inner:
    depth: int = 1
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    width: int
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None
    mode: Literal["a", "b"] = "a"
    free: dict[str, float] = field(default_factory=dict)
    some_of: Annotated[dict[str, Any], Inner] | None = None


def test_parts_of_a_dataclass_are_enough() -> None:
    check_settings({"inner": {"depth": 3}, "maybe": None, "free": {"any": 0.5}}, Outer)
    check_settings({"some_of": {"depth": 2}, "mode": "b", "width": "???"}, Outer)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"widht": 3}, "no setting widht; the nearest is width"),
        ({"inner": {"dept": 3}}, "no setting inner.dept; the nearest is inner.depth"),
        ({"maybe": {"dept": 3}}, "the nearest is maybe.depth"),
        ({"some_of": {"dept": 3}}, "the nearest is some_of.depth"),
        ({"names": []}, "no setting names; the nearest is inner.names"),
        ({"width": True}, "width=True must be a whole number"),
        ({"width": 1.0}, "width=1.0 must be a whole number"),
        ({"width": None}, "width=None must be a whole number"),
        ({"width": {"a": 1}}, "must be a whole number"),
        ({"mode": "c"}, "mode=c must be a or b"),
        ({"inner": None}, "inner=None must be settings by name"),
        ({"inner": {"names": "x"}}, "inner.names=x must be a list"),
        ({"inner": {"names": [1]}}, r"inner.names=\[1\] must be a list"),
        ({"free": {"any": "much"}}, "free.any=much must be a number"),
        ({"inner": {"_target_": "os.system"}}, "inner._target_=os.system is no class or function"),
    ],
)
def test_what_is_wrong_is_named(settings: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_settings(settings, Outer)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "tracker.files.os.system",  # what a module of ours has imported
        "tracker.files.nothing",
        "tracker.no_module.Thing",
        "tracker.files.UNREADABLE",
        "tracker",
        "trackers.head.HeadConfig",
        3,
        None,
    ],
)
def test_nothing_outside_the_package_is_a_target(name: object) -> None:
    with pytest.raises(UserError, match="is no class or function of this package"):
        find_target(name, "data")


def test_targets_are_classes_functions_and_their_methods() -> None:
    from tracker.datasets.clips import VideoClips
    from tracker.datasets.kubric import kubric_tracks

    assert find_target("tracker.datasets.clips.VideoClips", "") is VideoClips
    assert find_target("tracker.datasets.clips.VideoClips.from_folder", "") == (
        VideoClips.from_folder
    )
    assert required(kubric_tracks) == ["root", "frames", "size", "points", "visibility_is"]
    assert "cls" not in parameters(VideoClips.from_folder)
    assert parameters(VideoClips)["frames"] is int


@pytest.mark.parametrize(
    ("value", "hint", "good"),
    [
        (1, float, True),
        (True, float, False),
        (True, int | None, False),
        (None, int | None, True),
        ("1", int, False),
        ("a", Path, True),
        ("a", str | Path | None, True),
        (2024, str | None, False),
        ([1, 2], tuple[int, int], True),
        (64, tuple[int, int], True),  # left to `image_size`, which says what is wrong
        (5, tuple[int, ...], False),
        ([1.5], Sequence[int], True),
        (None, tuple[int, int], False),
        ("anything", Any, True),
        ("anything", Callable, True),
    ],
)
def test_kinds(value: object, hint: Any, good: bool) -> None:
    assert fits(value, hint) is good


@given(st.text("abcdefgh", min_size=1), st.lists(st.text("abcdefgh", min_size=1), min_size=1))
def test_the_nearest_is_known_and_a_known_name_is_its_own(name: str, known: list[str]) -> None:
    assert nearest(name, known) in known
    assert nearest(known[0], known) == known[0]


def test_words_for_kinds() -> None:
    assert describe(float | None) == "a number or null"
    assert describe(Annotated[dict[str, Any], Inner] | None) == "settings by name or null"
    assert describe(Callable) == ""
