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


def rows_of(queries: Any) -> tuple[ArrayLike, list[str] | None]:
    """Return the rows `(N, 3)` of t, x, y, and names where there are any.

    Args:
        queries: an array, a tensor, a list of rows, or a pandas frame with the columns `t`, `x`,
            `y` and perhaps `name`.

    Raises:
        UserError: a frame without one of these columns, or no rows at all.
    """
    if _is_frame(queries):
        return _columns(queries)
    if is_tensor(queries):
        return queries.detach().cpu().numpy(), None
    if isinstance(queries, str | bytes | dict) or not hasattr(queries, "__len__"):
        raise UserError(
            f"queries cannot be read from {type(queries).__name__}; give rows such as "
            "[(0, 120.5, 64)], a table with the columns t, x, y, or Queries.load(file)"
        )
    if len(queries) == 0:
        return np.empty((0, 3), np.float32), None
    return queries, None


def _is_frame(queries: object) -> TypeGuard[pd.DataFrame]:
    """Return whether something is a pandas frame; pandas is not loaded to find out."""
    kind = type(queries)
    return kind.__module__.partition(".")[0] == "pandas" and hasattr(queries, "columns")


def _columns(frame: pd.DataFrame) -> tuple[np.ndarray, list[str] | None]:
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
    if "name" not in frame.columns:
        return rows, None
    names = frame["name"]
    return rows, [str(name) for name in names.where(names.notna(), "")]


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
