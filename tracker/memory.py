"""A memory of bounded size for what is dear to compute and may be asked for again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class BoundedMemory:
    """Keeps values under keys, up to so many bytes; what was not asked for longest goes first.

    What it no longer holds must be computed again, with the same result: a memory changes how long
    things take and nothing else.

    Args:
        limit: bytes that all values may take together.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def find(self, key: Hashable) -> Any | None:
        """Return what was kept under a key; None where it is not, or no longer, held."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def keep(self, key: Hashable, value: object, size: int) -> None:
        """Keep a value of `size` bytes; one larger than the limit is not kept."""
        if key in self._values:
            self.held -= self._values.pop(key)[1]
        if size > self.limit:
            return
        self._values[key] = (value, size)
        self.held += size
        while self.held > self.limit:
            self.held -= self._values.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Let everything go."""
        self._values.clear()
        self.held = 0
