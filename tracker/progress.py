"""Bars that show how far a job is, and go away when it is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all) as work goes on."""

LONG = 100
"""Frames from which on a notebook shows a bar unless told otherwise."""


def nested_bar(items: Sequence[T], label: str, unit: str = "clips") -> Iterable[T]:
    """Yield the items and show on stderr, under `label`, how many `unit` are done."""
    # The delay keeps the bar from hiding an error that comes at once.
    return tqdm(items, desc=label, unit=f" {unit}", leave=False, delay=0.5)


@contextmanager
def reported(progress: Progress | bool | None, frames: int, label: str) -> Iterator[Progress]:
    """Give a job something to call as it goes on.

    Args:
        progress: what to call; True shows a bar on stderr, False nothing; None shows one in a
            notebook, where the job is long.
        frames: how many there are to work through.
        label: of the bar.
    """
    if callable(progress):
        yield progress
    elif progress or (progress is None and frames >= LONG and _in_notebook()):
        with tqdm(desc=label, unit=" frames", leave=False, delay=0.5) as bar:

            def move(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield move
    else:
        yield lambda done, total: None


def _in_notebook() -> bool:
    """Return whether cells of Jupyter run this, rather than a terminal or a script."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ in ("ZMQInteractiveShell", "Shell")
