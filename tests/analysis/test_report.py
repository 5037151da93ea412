"""Files of a report: whole, self-contained, valid JSON."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from tracker.analysis.figures import draw_bars
from tracker.analysis.report import Figure, Report, Table, rounded
from tracker.errors import UserError


@pytest.fixture(scope="module")
def report() -> Report:
    png = draw_bars("t", ["a"], {"s": [1.0]}, "y")
    return Report(
        "thing",
        "A <title>",
        "Words & words.",
        {"backbone": "mini", "skipped": {"bad.mp4": "is <broken>"}},
        {"value": np.pi, "none": float("nan"), "list": [(1, 2.5)]},
        [Table("Numbers", ["", "x"], [("row", 0.12345)])],
        [Figure("bars", png, "A caption.")],
    )


def test_three_kinds_of_files(report: Report, tmp_path: Path) -> None:
    paths = report.write(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bars.png", "report.html", "thing.json"]
    assert sorted(paths) == sorted(tmp_path.iterdir())
    content = json.loads((tmp_path / "thing.json").read_text())
    assert content["value"] == 3.14159 and content["none"] is None and content["list"] == [[1, 2.5]]
    assert content["settings"]["skipped"] == {"bad.mp4": "is <broken>"}


def test_the_page_needs_no_other_file(report: Report) -> None:
    page = report.html()
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 1 and "href" not in page
    kind, data = sources[0].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == report.figures[0].png
    assert "A &lt;title&gt;" in page and "is &lt;broken&gt;" in page and "0.123" in page
    assert "Skipped as unreadable: 1" in page


def test_tables_are_printed_in_columns(report: Report) -> None:
    assert report.text() == "Numbers\n     x\nrow  0.123"


def test_a_folder_that_goes_away_is_told(report: Report, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        report.write(tmp_path / "gone")


def test_infinite_numbers_are_none() -> None:
    assert rounded({"a": [float("inf"), 1]}) == {"a": [None, 1]}
