"""The bar of a nested loop."""

from __future__ import annotations

import time

import pytest

from tracker.progress import nested_bar


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
