"""Visitors come, do not mix, and leave nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tracker.errors import UserError
from tracker.registry import make_tracker
from tracker.web.limits import Limits
from tracker.web.visits import IDLE, Visits


def test_each_visitor_has_their_own(lk_visits: Visits, tmp_path: Path) -> None:
    one, other = lk_visits.begin("one"), lk_visits.begin("other")
    assert lk_visits.find(one.token) is one and lk_visits.of("other") is other
    assert one.folder != other.folder and one.token != other.token
    (one.folder / "clip.mp4").write_bytes(b"video")
    lk_visits.end("one")
    lk_visits.end("one")
    assert not one.folder.exists() and other.folder.exists()
    assert lk_visits.find(one.token) is None and lk_visits.find("") is None
    with pytest.raises(UserError, match="reload"):
        lk_visits.of("one")
    again = lk_visits.begin("other")  # the page was reloaded
    assert again is not other and not other.folder.exists()


def test_there_is_room_for_so_many(lk_visits: Visits) -> None:
    for number in range(4):
        lk_visits.begin(str(number))
    with pytest.raises(UserError, match="4 visitors"):
        lk_visits.begin("one more")
    lk_visits.end("0")
    lk_visits.begin("one more")


def test_who_is_idle_makes_room(lk_visits: Visits, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        lk_visits.begin(str(number))
    later = time.monotonic() + IDLE + 1
    monkeypatch.setattr("tracker.web.visits.time.monotonic", lambda: later)
    lk_visits.of("2")
    lk_visits.begin("new")
    assert lk_visits.of("2") and lk_visits.of("new")
    with pytest.raises(UserError, match="reload"):
        lk_visits.of("0")


def test_all_find_the_first_video_open(lk_visits: Visits, clip: Path, tmp_path: Path) -> None:
    visits = Visits(tmp_path / "v", make_tracker("lk"), Limits(), clip)
    one, other = visits.begin("one"), visits.begin("other")
    one.work.board.add(0, 1, 1)
    assert one.work.name == other.work.name == clip.name and not other.work.board.points
    visits.end("one")
    assert clip.exists()
