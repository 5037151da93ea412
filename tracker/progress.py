"""Progress bars: bars in a terminal, a line now and then in a pipe or a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all) as work goes on."""

LONG = 100
"""Frames from which on a notebook shows a bar unless told otherwise."""

SECONDS_BETWEEN_LINES = 30.0


def in_terminal() -> bool:
    """Return whether stderr is a terminal or a notebook, where a line can be drawn over."""
    return sys.stderr.isatty() or in_notebook()


def in_notebook() -> bool:
    """Return whether cells of Jupyter run this, rather than a terminal or a script."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ in ("ZMQInteractiveShell", "Shell")


class Bar(tqdm):
    """tqdm's bar on stderr; where that is no terminal, a line each half minute."""

    disable: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._in_terminal = in_terminal()
        if not self._in_terminal:
            kwargs["mininterval"] = kwargs["maxinterval"] = SECONDS_BETWEEN_LINES
            kwargs["delay"] = SECONDS_BETWEEN_LINES
            shown = "{desc}: {n_fmt} of {total_fmt} {unit}, {remaining} left{postfix}"
            kwargs["bar_format"] = shown
        super().__init__(*args, **kwargs)

    def display(self, msg: str | None = None, pos: int | None = None) -> Any:
        """Draw the bar over itself, or write a line; an empty one would wipe the bar."""
        if self._in_terminal:
            return super().display(msg, pos)
        if line := str(self) if msg is None else msg:
            print(line.strip(), file=sys.stderr, flush=True)
        return True

    def close(self) -> None:
        """Leave the last state, or wipe the bar, as `leave` says."""
        if not self._in_terminal and not self.disable:
            if self.leave:
                self.display()
            self.disable = True  # or it would wipe what is no bar
        super().close()


def nested_bar(items: Sequence[T], label: str, unit: str = "clips") -> Iterable[T]:
    """Yield the items and show under `label` how many `unit` are done, until all are."""
    # The delay keeps the bar from hiding an error that comes at once.
    return Bar(items, desc=label, unit=f" {unit}", leave=False, delay=0.5)


@contextmanager
def progress_bar(label: str, unit: str = "frames", total: int | None = None) -> Iterator[Progress]:
    """Show a bar that is moved by calling what this yields with steps done and steps in all."""
    # Without a delay: the first step may take long, and people see what it is that takes long.
    with Bar(desc=label, unit=f" {unit}", total=total, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


@contextmanager
def reported(progress: Progress | bool | None, num_frames: int, label: str) -> Iterator[Progress]:
    """Give a job something to call as it goes on.

    Args:
        progress: what to call; True shows a bar on stderr, False nothing; None shows one in a
            notebook, where the job is long.
        num_frames: how many there are to work through.
        label: of the bar.
    """
    if callable(progress):
        yield progress
    elif progress or (progress is None and num_frames >= LONG and in_notebook()):
        with progress_bar(label) as move:
            yield move
    else:
        yield lambda done, total: None
