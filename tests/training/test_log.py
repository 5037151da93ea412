"""What a run writes of itself."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tracker.training.log import keep_rows


def test_rows_after_a_checkpoint_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("step,loss\n1,5\n2,4\n3,3\n4,")
    keep_rows(path, 2)
    assert path.read_text().split() == ["step,loss", "1,5", "2,4"]


def test_dropping_rows_loses_none_where_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        def writerows(self, rows: list) -> None:
            raise KeyboardInterrupt

    path = tmp_path / "history.csv"
    path.write_text("step,loss\n1,5\n")
    monkeypatch.setattr(csv, "writer", lambda file: Interrupted())
    with pytest.raises(KeyboardInterrupt):
        keep_rows(path, 1)
    assert path.read_text() == "step,loss\n1,5\n"
    assert [p.name for p in tmp_path.iterdir()] == ["history.csv"]
