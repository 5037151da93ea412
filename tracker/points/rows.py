"""Rows of t, x, y from what people's programs hold them in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from tracker.errors import UserError
from tracker.video.arrays import is_tensor

if TYPE_CHECKING:
    import pandas as pd


Rows = tuple[ArrayLike, Sequence[str] | None, ArrayLike | None]
"""Rows `(N, 3)` of t, x, y, the names of their points, and which say that theirs is hidden."""


def check_rows(txy: ArrayLike, hidden: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Return rows as `(N, 3) float32` and `(N,) bool`; hidden ones have NaN for x and y.

    Args:
        txy: rows of t, x, y.
        hidden: which rows say that their point is not to be seen; None for none.

    Raises:
        UserError: they are not numbers, of other shapes, or a frame is not a whole number.
    """
    try:
        rows = np.asarray(txy, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"queries are rows of the numbers t, x, y ({error})") from error
    if rows.ndim != 2 or rows.shape[1] != 3:
        raise UserError(f"queries have shape {rows.shape}; they must be rows of t, x, y")
    unseen = np.zeros(len(rows), bool) if hidden is None else np.asarray(hidden, bool)
    if unseen.shape != (len(rows),):
        raise UserError(f"hidden has shape {unseen.shape}; give one of {len(rows)} rows each")
    known = np.isfinite(rows)
    bad = np.flatnonzero(~np.where(unseen, known[:, 0], known.all(axis=1)))
    if bad.size:
        raise UserError(f"query {bad[0]} is {row_text(rows[bad[0]])}; t, x and y must be numbers")
    bad = np.flatnonzero(rows[:, 0] != np.round(rows[:, 0]))
    if bad.size:
        raise UserError(f"query {bad[0]} is {row_text(rows[bad[0]])}; t must be a whole number")
    if unseen.any():
        rows = np.where(unseen[:, None] & [False, True, True], np.float32(np.nan), rows)
    return rows, unseen


def row_text(txy: np.ndarray) -> str:
    """Return how a row is told of in an error."""
    t, x, y = txy
    return f"(t={t:g}, x={x:g}, y={y:g})"


def rows_of(queries: Any) -> Rows:
    """Return the rows of t, x, y, names, and which are hidden.

    Args:
        queries: an array, a tensor, a list of rows, or a pandas frame with the columns `t`, `x`,
            `y` and perhaps `name` and `hidden`.

    Raises:
        UserError: a frame without one of these columns, or no rows at all.
    """
    if _is_frame(queries):
        return _columns(queries)
    if is_tensor(queries):
        return queries.detach().cpu().numpy(), None, None
    if isinstance(queries, str | bytes | dict) or not hasattr(queries, "__len__"):
        raise UserError(
            f"queries cannot be read from {type(queries).__name__}; give rows such as "
            "[(0, 120.5, 64)], a table with the columns t, x, y, or Queries.load(file)"
        )
    if len(queries) == 0:
        return np.empty((0, 3), np.float32), None, None
    return queries, None, None


def _is_frame(queries: object) -> TypeGuard[pd.DataFrame]:
    """Return whether something is a pandas frame; pandas is not loaded to find out."""
    kind = type(queries)
    return kind.__module__.partition(".")[0] == "pandas" and hasattr(queries, "columns")


def _columns(frame: pd.DataFrame) -> Rows:
    missing = [column for column in ("t", "x", "y") if column not in frame.columns]
    if missing:
        there = ", ".join(map(str, frame.columns))
        raise UserError(
            f"the table of queries has no column {' or '.join(missing)}; rename its columns "
            f"({there}) to t, x, y"
        )
    try:
        rows = frame[["t", "x", "y"]].to_numpy(np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"the columns t, x, y of the table are not numbers ({error})") from error
    hidden = None
    if "hidden" in frame.columns:
        hidden = [said_hidden(cell) for cell in frame["hidden"].fillna(False)]
    if "name" not in frame.columns:
        return rows, None, hidden
    names = frame["name"]
    return rows, [str(name) for name in names.where(names.notna(), "")], hidden


def said_hidden(cell: object) -> bool:
    """Read a cell of a column `hidden`: a truth value, 0 or 1, or one of these as text.

    Raises:
        UserError: it is something else.
    """
    text = str(cell).strip().lower()
    if text in ("", "0", "0.0", "false", "no", "none"):
        return False
    if text in ("1", "1.0", "true", "yes"):
        return True
    raise UserError(f"hidden is {str(cell)!r} in one row; write 1 or 0")


def parse_rows(points: Sequence[str]) -> tuple[np.ndarray, list[str] | None]:
    """Read rows, and names where there are any, written as `t,x,y` or `name=t,x,y`.

    Raises:
        UserError: a text is neither.
    """
    rows, names = [], []
    for point in points:
        name, _, numbers = point.rpartition("=")
        try:
            t, x, y = (float(part) for part in numbers.split(","))
        except ValueError:
            raise UserError(
                f"point {point!r} is not t,x,y such as 0,120.5,64, nor name=t,x,y"
            ) from None
        rows.append((t, x, y))
        names.append(name.strip())
    txy = np.array(rows, np.float32).reshape(-1, 3)
    return txy, names if any(names) else None
