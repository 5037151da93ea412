"""What goes wrong, and how the commands report it.

`UserError` carries one line that names the thing and the remedy. Every command wraps its
`main` in `exit_on_user_error`, so such a line is all that is printed and the exit code is 2.

What is worth a warning goes to the logger `log`, from everywhere in the package. In a program that
uses the package it arrives wherever that program's logging sends it; the commands print it.
"""

from __future__ import annotations

import functools
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, ParamSpec, TextIO, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("tracker")


class UserError(ValueError):
    """A mistake in the input or the surroundings, told in one line with its remedy."""


class _PrintWarnings(logging.Handler):
    """Prints on stderr as it is at the time, after whatever progress bar stands there.

    Each message once, though several parts of a command may find the same.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{record.levelname.lower()}: {record.getMessage()}"
        if line not in self._printed:
            self._printed.add(line)
            print(line, file=sys.stderr)


@contextmanager
def print_warnings() -> Iterator[None]:
    """Print as `warning: ...` on stderr what is logged, and what libraries warn of.

    NumPy keeps quiet: a number that is not finite is told where it does harm.
    """
    if any(isinstance(handler, _PrintWarnings) for handler in log.handlers):
        yield  # a command called by another
        return

    def from_library(message: Warning | str, *_: Any, **__: Any) -> None:
        log.warning("%s", message)

    handler = _PrintWarnings()
    log.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = from_library
            warnings.filterwarnings("ignore", ".* encountered in ", RuntimeWarning)  # NumPy's
            yield
    finally:
        log.removeHandler(handler)


class _Pipe(io.TextIOBase):
    """A stream that goes nowhere once its reader has left, as that of `| head -1` does."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.is_closed_by_reader = stream, False

    def write(self, text: str) -> int:
        self._try(lambda: self.stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self.stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BrokenPipeError:
            self.is_closed_by_reader = True
            # Python flushes what is left once more at its end, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read only, as that of other streams
        """That of the stream: progress bars ask whether they can be drawn finer than with #."""
        return self.stream.encoding

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()


def exit_on_user_error(main: Callable[P, R]) -> Callable[P, R]:
    """Decorate a command so that a `UserError` prints as one line and exits with 2.

    Warnings are printed, too. Ctrl-C exits with 130, as shells expect, without a traceback; files
    that are complete stay. Where nobody reads the output any more, as after `| head -1`, the work
    is finished in silence, and the exit code is 141, as shells expect.
    """

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        if isinstance(sys.stdout, _Pipe):
            return main(*args, **kwargs)  # a command called by another
        out, err = _Pipe(sys.stdout), _Pipe(sys.stderr)
        with redirect_stdout(out), redirect_stderr(err):
            try:
                with print_warnings():
                    result = main(*args, **kwargs)
            except UserError as error:
                print(f"error: {error}", file=sys.stderr)
                sys.exit(2)
            except KeyboardInterrupt:
                print("interrupted", file=sys.stderr)
                sys.exit(130)
            finally:
                out.flush()
        if out.is_closed_by_reader:
            sys.exit(141)
        return result

    return wrapped
