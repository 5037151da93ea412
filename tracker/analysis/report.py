"""What an analysis leaves behind: PNG figures, JSON numbers and one self-contained HTML page."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from tracker.files import atomic_path

STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
img { max-width: 100%; display: block }
figure { margin: 1.5rem 0 }
figcaption { color: #444; max-width: 50rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { border-bottom: 1px solid #ccc; padding: .25rem .8rem; text-align: right }
th:first-child, td:first-child { text-align: left }
caption { text-align: left; font-weight: 600 }
"""


@dataclass(frozen=True)
class Figure:
    """A picture: file name without suffix, PNG bytes, and what is to be seen."""

    name: str
    png: bytes
    caption: str


@dataclass(frozen=True)
class Table:
    """Rows under column heads; the first column names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | int]]


@dataclass(frozen=True)
class Report:
    """One analysis.

    Attributes:
        name: base name of the JSON file.
        title: head of the page.
        summary: what the page is about.
        facts: what the numbers depend on; its `skipped` is listed at the end of the page.
        numbers: JSON-able results.
    """

    name: str
    title: str
    summary: str
    facts: dict[str, object]
    numbers: dict[str, object]
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    @property
    def skipped(self) -> dict[str, str]:
        """What could not be read, and why."""
        return dict(self.facts.get("skipped", {}))  # type: ignore[call-overload]

    def write(self, folder: Path) -> list[Path]:
        """Write `<figure>.png`, `<name>.json` and `report.html`, each whole or not at all.

        Raises:
            UserError: the folder cannot be written.
        """
        files = {f"{figure.name}.png": figure.png for figure in self.figures}
        content = rounded({"settings": self.facts, **self.numbers})
        files[f"{self.name}.json"] = json.dumps(content, indent=2, allow_nan=False).encode()
        files["report.html"] = self.html().encode()
        for name, data in files.items():
            with atomic_path(folder / name) as partial:
                partial.write_bytes(data)
        return [folder / name for name in files]

    def text(self) -> str:
        """Return the tables as plain lines, for the terminal."""
        return "\n".join(_lines(table) for table in self.tables)

    def html(self) -> str:
        """Return a page that needs no other file."""
        facts = [(key, value) for key, value in self.facts.items() if key != "skipped"]
        parts = [
            f"<h1>{escape(self.title)}</h1><p>{escape(self.summary)}</p>",
            *(_table(table) for table in self.tables),
            *(_figure(figure) for figure in self.figures),
            _table(Table("Settings", ["setting", "value"], [(k, str(v)) for k, v in facts])),
        ]
        if self.skipped:
            title = f"Skipped as unreadable: {len(self.skipped)}"
            parts.append(_table(Table(title, ["what", "why"], list(self.skipped.items()))))
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style>{''.join(parts)}</html>\n"
        )


def rounded(value: object, digits: int = 5) -> object:
    """Return JSON-able content with floats rounded and those not finite as None."""
    if isinstance(value, float):
        return round(value, digits) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): rounded(v, digits) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v, digits) for v in value]
    return value


def _figure(figure: Figure) -> str:
    data = base64.b64encode(figure.png).decode()
    return (
        f'<figure><img alt="{escape(figure.name)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(figure.caption)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in _cells(table)
    )
    return f"<table><caption>{escape(table.title)}</caption><tr>{head}</tr>{body}</table>"


def _lines(table: Table) -> str:
    cells = [[str(column) for column in table.columns], *_cells(table)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    return "\n".join([table.title, *(row.rstrip() for row in rows)])


def _cells(table: Table) -> list[list[str]]:
    """Return cells as text; the numbers of a column have as many digits, three at most."""
    columns = []
    for values in zip(*table.rows, strict=True):
        digits = max((_digits(v) for v in values if isinstance(v, float)), default=0)
        columns.append([f"{v:.{digits}f}" if isinstance(v, float) else str(v) for v in values])
    return [list(row) for row in zip(*columns, strict=True)]


def _digits(value: float) -> int:
    return len(f"{value:.3f}".rstrip("0").partition(".")[2])
