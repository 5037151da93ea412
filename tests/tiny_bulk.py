"""What is done with tiny videos, where workers of Ray find it too; and tables of rows, compared."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tracker.bulk.engine import Worker
from tracker.bulk.worker import BulkSettings
from tracker.points.queries import Queries
from tracker.registry import make_tracker
from tracker.video.video import Video


@dataclass(frozen=True)
class Grid:
    """Puts a grid on the first frame; a video named `fatal` stops its worker, others fail."""

    side: int = 2

    def __call__(self, video: Video, file: Path | None) -> Queries:
        if video.name == "fatal.mp4":
            os.kill(os.getpid(), signal.SIGKILL)
        if video.name == "memory.mp4":
            raise MemoryError("too large")
        return Queries.grid(self.side, video.size) if file is None else Queries.load(file)


SETTINGS = BulkSettings(Grid(), {"grid": 2}, tracker="lk", threads=1)


def unmade() -> Worker:
    """Makes no worker."""
    make_tracker("none")
    raise AssertionError


def same_rows(one: pa.Table, other: pa.Table) -> bool:
    """Return whether two tables hold the same rows, whatever their order and the time they took."""

    def ordered(table: pa.Table) -> pa.Table:
        keys = [("key", "ascending"), ("point", "ascending")]
        return table.drop_columns(["seconds"]).sort_by(keys).combine_chunks()

    return ordered(one).equals(ordered(other))
