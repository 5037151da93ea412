"""Errors that are the user's to mend, and how the commands report them.

`UserError` carries one line that names the thing and the remedy. Every command wraps its
`main` in `exit_on_user_error`, so such a line is all that is printed and the exit code is 2.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class UserError(Exception):
    """A mistake in the input or the surroundings, told in one line with its remedy."""


def exit_on_user_error(main: Callable[P, R]) -> Callable[P, R]:
    """Decorate a command so that a `UserError` prints as one line and exits with 2.

    Ctrl-C exits with 130, as shells expect, without a traceback.
    """

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return main(*args, **kwargs)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)

    return wrapped
