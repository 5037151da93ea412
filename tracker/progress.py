"""Progress bars: bars in a terminal, a line now and then in a pipe or a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all) as work goes on."""

Share = Callable[[float], None]
"""Called with the share of a job that is done, 0..1."""

LONG = 100
"""Frames from which on a notebook shows a bar unless told otherwise."""

SECONDS_BETWEEN_LINES = 30.0


def in_silence(share: float) -> None:
    """Take the share of a job that is done, where nobody asks for it."""


def part_of(on_share: Share, start: float, stop: float) -> Share:
    """Return what a part of a job calls, which leads the whole from share `start` to `stop`."""
    return lambda share: on_share(start + share * (stop - start))


def in_terminal() -> bool:
    """Return whether stderr is a terminal or a notebook, where a line can be drawn over."""
    return sys.stderr.isatty() or in_notebook()


def in_notebook() -> bool:
    """Return whether cells of Jupyter run this, rather than a terminal or a script."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ in ("ZMQInteractiveShell", "Shell")


_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


@contextmanager
def no_bars() -> Iterator[None]:
    """Show neither bars nor lines of progress within this."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


class Bar(tqdm):
    """tqdm's bar on stderr; where that is no terminal, a line each half minute."""

    disable: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._in_terminal = in_terminal()
        kwargs["disable"] = kwargs.get("disable", False) or _hidden.get()
        if not self._in_terminal:
            kwargs["mininterval"] = kwargs["maxinterval"] = SECONDS_BETWEEN_LINES
            kwargs["delay"] = SECONDS_BETWEEN_LINES
            shown = "{desc}: {n_fmt} of {total_fmt} {unit}, {remaining} left{postfix}"
            kwargs["bar_format"] = shown
            kwargs["unit"] = kwargs.get("unit", "it").strip()  # bars have a blank before it
        super().__init__(*args, **kwargs)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What a line is made of; without a total there is nothing to say of what is left."""
        values = super().format_dict
        if not self._in_terminal and not self.total:
            values["bar_format"] = "{desc}: {n_fmt} {unit}{postfix}"
        return values

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


def counted(items: Iterable[T], total: int, progress: Progress) -> Iterator[T]:
    """Yield the items, and tell after each how many of how many are done."""
    for number, item in enumerate(items, start=1):
        yield item
        progress(number, total)


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
