"""The command that fills a document's results table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tracker.cli.results.table import COLUMNS, main


def write_metrics(folder: Path, complete: bool = True) -> Path:
    folder.mkdir()
    mean = dict.fromkeys(COLUMNS.values(), 0.6175) | {"pts_within_1": None}
    content = {
        "benchmark": "davis",
        "query_mode": "first",
        "input_size": "native",
        "complete": complete,
        "trackers": {"lk": {"mean": mean, "videos": {}, "seconds_per_video": 0.125}},
    }
    (folder / "metrics.json").write_text(json.dumps(content))
    return folder


def test_table_goes_between_the_markers(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text("above\n<!-- results -->\nold\n<!-- /results -->\nbelow\n")
    main([str(write_metrics(tmp_path / "run")), "--into", str(document)])
    lines = document.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("above", "below")
    assert "old" not in lines
    assert lines[4] == (
        "| davis | first | native | `lk` | 61.8 | 61.8 | 61.8 | - | 61.8 | 61.8 | 0.12 |"
    )
    main([str(tmp_path / "run"), "--into", str(document)])
    assert document.read_text().splitlines() == lines


def test_prints_without_a_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(write_metrics(tmp_path / "run"))])
    assert "| davis | first |" in capsys.readouterr().out


@pytest.mark.parametrize("case", ["missing", "unfinished", "no markers"])
def test_bad_input_is_one_line(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    if case != "missing":
        write_metrics(folder, complete=case != "unfinished")
    document = tmp_path / "README.md"
    document.write_text("nothing")
    with pytest.raises(SystemExit) as stop:
        main([str(folder), "--into", str(document)])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert document.read_text() == "nothing"
