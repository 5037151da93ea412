"""Names of points: one line of text each, or none at all."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np

from tracker.errors import UserError

Names = tuple[str, ...] | None
"""A name for each point, empty where one has none; None where no point has."""


def check_names(names: Sequence[str] | np.ndarray | None, count: int) -> Names:
    """Return the names of `count` points as a tuple, or None where there are none.

    Raises:
        UserError: another number of names, or one that is not a line of text.
    """
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Sequence | np.ndarray):
        raise UserError(f"names {names!r} are not a list of texts, one for each point")
    if len(names) != count:
        raise UserError(f"there are {len(names)} names for {count} points; give one for each")
    for name in names:
        if not isinstance(name, str) or not name.isprintable():
            raise UserError(f"the name {name!r} of a point is not one line of text")
    return tuple(str(name) for name in names)


def chosen_rows(
    names: Names, index: int | str | slice | np.ndarray | list[int]
) -> slice | np.ndarray | list[int]:
    """Return the points that `points[index]` means: a number, a name, or as NumPy chooses rows.

    Raises:
        UserError: no point has that name.
    """
    if isinstance(index, str):
        return points_named(names, index)
    return [int(index)] if isinstance(index, int | np.integer) else index


def take_names(names: Names, index: slice | np.ndarray | list[int]) -> Names:
    """Return the names of some points, chosen as NumPy chooses rows."""
    if names is None:
        return None
    return tuple(np.array(names, object)[index].tolist())


def join_names(parts: Sequence[tuple[Names, int]]) -> Names:
    """Join the names of groups of points, each with its number of points, in order."""
    if all(names is None for names, _ in parts):
        return None
    return tuple(name for names, count in parts for name in names or ("",) * count)


def group_of(name: str) -> str:
    """Return the group of a point's name, empty where it is in none.

    >>> group_of("cat 1/7")
    'cat 1'
    """
    group, _, number = name.rpartition("/")
    return group if number.isdecimal() else ""


def points_named(names: Names, name: str) -> list[int]:
    """Return the numbers of the points that have a name.

    Raises:
        UserError: there are none; the most similar name is told.
    """
    if names is None:
        raise UserError(f"no point is called {name!r}, for these points have no names")
    found = [point for point, known in enumerate(names) if known == name]
    if not found:
        near = get_close_matches(name, names, n=1)
        known = sorted(set(names) - {""})
        listed = ", ".join(map(repr, known[:8])) + (", ..." if len(known) > 8 else "")
        hint = f"did you mean {near[0]!r}?" if near else f"there are {listed}"
        raise UserError(f"no point is called {name!r}; {hint}")
    return found
