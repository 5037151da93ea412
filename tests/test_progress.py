"""Bars in a terminal, lines elsewhere, and what calls from Python show."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import pytest

from tracker.progress import LONG, Bar, nested_bar, part_of, progress_bar, reported


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.progress.in_terminal", lambda: True)


@pytest.mark.usefixtures("terminal")
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


@pytest.mark.usefixtures("terminal")
def test_a_bar_moves_as_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("tracking", "frames") as progress:
        time.sleep(0.6)
        progress(3, 12)
    shown = capsys.readouterr().err
    assert "tracking:  25%" in shown and "3/12" in shown


def test_a_pipe_gets_whole_lines_and_few(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(nested_bar(range(200), "counting")) == list(range(200))
    assert capsys.readouterr().err == ""  # it is over before the first line is due
    monkeypatch.setattr("tracker.progress.SECONDS_BETWEEN_LINES", 0.2)
    with Bar(total=20, desc="counting", unit=" clips", leave=False) as bar:
        for _ in range(20):
            time.sleep(0.05)
            bar.update()
    lines = capsys.readouterr().err.splitlines(keepends=True)
    assert 1 <= len(lines) <= 6
    for line in lines:
        assert line.startswith("counting: ") and " of 20 clips" in line
        assert line.endswith("\n") and "\r" not in line and "\x1b" not in line


def test_a_line_without_a_total_tells_what_is_done_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.progress.SECONDS_BETWEEN_LINES", 0.01)
    with Bar(desc="reading", unit=" clips", leave=False) as bar:
        for _ in range(3):
            time.sleep(0.02)
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert lines and set(lines) <= {f"reading: {n} clips" for n in (1, 2, 3)}


def shown(capsys: pytest.CaptureFixture[str], progress: object, frames: int) -> str:
    with reported(progress, frames, "tracking") as move:
        move(1, 4)
        time.sleep(0.6)
        move(3, 4)
        move(4, 4)
    return capsys.readouterr().err


@pytest.mark.usefixtures("terminal")
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


def test_parts_of_a_job_lead_from_where_the_last_one_ended() -> None:
    shares: list[float] = []
    for part in (part_of(shares.append, 0, 0.25), part_of(part_of(shares.append, 0.25, 1), 0.5, 1)):
        part(0)
        part(1)
    assert shares == [0, 0.25, 0.625, 1]
