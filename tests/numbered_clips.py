"""A source of clips for tests."""

from __future__ import annotations

import torch

from tracker.errors import UserError


class NumberedClips:
    """Clips of one value, the last digit of their number; some cannot be read.

    Attributes:
        asked: the numbers of all clips that were asked for.
    """

    def __init__(self, length: int = 4, fails: range = range(0)) -> None:
        self._length, self._fails = length, fails
        self.asked: list[int] = []

    def clip(self, index: int) -> torch.Tensor:
        self.asked.append(index)
        if index in self._fails:
            raise UserError(f"clip {index} is damaged")
        return torch.full((self._length, 3, 64, 64), index % 10 / 10)
