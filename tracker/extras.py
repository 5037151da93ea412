"""Parts that not everybody installs: `pip install 'vjepa-tracker[train]'` and the like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tracker.errors import UserError


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Tell in one line which extra of the package a failing import belongs to.

        with needs("train"):
            from accelerate import Accelerator

    Args:
        extra: a name under `[project.optional-dependencies]` in pyproject.toml.

    Raises:
        UserError: a module that is imported inside the block is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or str(error)).partition(".")[0]
        raise UserError(
            f"{name} is not installed; get it with: pip install 'vjepa-tracker[{extra}]'"
        ) from error
