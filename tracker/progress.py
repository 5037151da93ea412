"""A bar for a loop inside a longer job, which goes away when the loop is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def nested_bar(items: Sequence[T], label: str, unit: str = "clips") -> Iterable[T]:
    """Yield the items and show on stderr, under `label`, how many `unit` are done."""
    # The delay keeps the bar from hiding an error that comes at once.
    return tqdm(items, desc=label, unit=f" {unit}", leave=False, delay=0.5)
