"""Bars of nested loops, and of calls from Python."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import pytest

from tracker.progress import LONG, nested_bar, reported


def test_shows_what_takes_long_and_goes_away(capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    for item in nested_bar("abc", "spelling", "letters"):
        seen.append(item)
        if item == "b":
            time.sleep(0.6)
    assert seen == ["a", "b", "c"]
    shown = capsys.readouterr().err
    assert "spelling: " in shown and "2/3" in shown and " letters" in shown
    assert shown.split("\r")[-2].strip() == ""


def test_what_is_quick_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(nested_bar(range(3), "counting")) == [0, 1, 2]
    assert "counting" not in capsys.readouterr().err


def shown(capsys: pytest.CaptureFixture[str], progress: object, frames: int) -> str:
    with reported(progress, frames, "tracking") as move:
        move(1, 4)
        time.sleep(0.6)
        move(3, 4)
        move(4, 4)
    return capsys.readouterr().err


def test_true_shows_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    bar = shown(capsys, True, 4)
    assert "tracking: " in bar and "3/4" in bar
    assert not shown(capsys, False, LONG) and not shown(capsys, None, LONG)


def test_notebooks_show_a_bar_for_long_videos(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class ZMQInteractiveShell:
        """Has the name of Jupyter's."""

    notebook = SimpleNamespace(get_ipython=ZMQInteractiveShell)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    assert "tracking: " in shown(capsys, None, LONG)
    assert not shown(capsys, None, LONG - 1) and not shown(capsys, False, LONG)


def test_what_is_given_is_called() -> None:
    steps: list[tuple[int, int]] = []
    with reported(lambda done, total: steps.append((done, total)), 4, "tracking") as move:
        move(2, 4)
    assert steps == [(2, 4)]
