"""What goes wrong, and how the commands report it.

`UserError` carries one line that names the thing and the remedy. Every command wraps its
`main` in `exit_on_user_error`, so such a line is all that is printed and the exit code is 2.

What is worth a warning goes to the logger `log`, from everywhere in the package. In a program that
uses the package it arrives wherever that program's logging sends it; the commands print it.
"""

from __future__ import annotations

import functools
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("tracker")


class UserError(ValueError):
    """A mistake in the input or the surroundings, told in one line with its remedy."""


class _PrintWarnings(logging.Handler):
    """Prints on stderr as it is at the time, after whatever progress bar stands there."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"{record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)


@contextmanager
def print_warnings() -> Iterator[None]:
    """Print as `warning: ...` on stderr what is logged, and what libraries warn of.

    NumPy keeps quiet: a number that is not finite is told where it does harm.
    """
    import numpy as np

    if any(isinstance(handler, _PrintWarnings) for handler in log.handlers):
        yield  # a command called by another
        return

    def from_library(message: Warning | str, *_: Any, **__: Any) -> None:
        log.warning("%s", message)

    handler = _PrintWarnings(logging.WARNING)
    before, warnings.showwarning = warnings.showwarning, from_library
    log.addHandler(handler)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        log.removeHandler(handler)
        warnings.showwarning = before


def exit_on_user_error(main: Callable[P, R]) -> Callable[P, R]:
    """Decorate a command so that a `UserError` prints as one line and exits with 2.

    Warnings are printed, too. Ctrl-C exits with 130, as shells expect, without a traceback.
    """

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with print_warnings():
                return main(*args, **kwargs)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)

    return wrapped
