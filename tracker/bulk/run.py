"""A run over many videos: what is left to do, doing it, and what came of it.

with engine.running():
    run = Run(rows, settings, sink, engine)
    for outcome in run.track():
        print(outcome.key, outcome.error)
    summary = run.finish()
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tracker.bulk.engine import Engine, Item, Worker
from tracker.bulk.manifest import VideoRow
from tracker.bulk.places import is_file
from tracker.bulk.sink import Sink, read_rows
from tracker.bulk.worker import (
    BulkSettings,
    Identity,
    Outcome,
    VideoWorker,
    outcome_in,
    write_error,
)
from tracker.errors import UserError, log


@dataclass
class Summary:
    """What a run has done.

    Attributes:
        videos: in the sources.
        finished_before: of them, by earlier runs.
        tracked: by this run.
        failed: in this run; each has a row with its error.
        frames: of the videos tracked by this run.
        points: followed through them.
        places: points times frames.
        seconds: that the run took.
        shards: files that all rows stand in; 0 where another run has taken the place over.
    """

    videos: int
    finished_before: int
    tracked: int = 0
    failed: int = 0
    frames: int = 0
    points: int = 0
    places: int = 0
    seconds: float = 0.0
    shards: int = 0

    @property
    def rates(self) -> dict[str, str]:
        """What is told while a run goes on; a point counts in each frame."""
        seconds = max(self.seconds, 1e-9)
        return {
            "frames/s": f"{self.frames / seconds:.3g}",
            "points/s": f"{self.places / seconds:.3g}",
            "errors": str(self.failed),
        }

    def add(self, outcome: Outcome) -> None:
        """Count what came of a video."""
        self.tracked += outcome.error is None
        self.failed += outcome.error is not None
        self.frames += outcome.frames
        self.points += outcome.points
        self.places += outcome.frames * outcome.points


class Run:
    """Tracks the videos that have no rows yet.

    Args:
        rows: of all videos.
        settings: what is done with each.
        sink: where rows go.
        engine: who does it.
        retry_errors: whether to try those again that could not be tracked.

    Raises:
        UserError: the tracker cannot be loaded, or the sink cannot be read or written.
    """

    def __init__(
        self,
        rows: Sequence[VideoRow],
        settings: BulkSettings,
        sink: Sink,
        engine: Engine,
        retry_errors: bool = False,
    ) -> None:
        self._started = time.perf_counter()
        self._settings, self._sink, self._engine = settings, sink, engine
        self._worker = None if engine.uses_ray else VideoWorker(settings, sink)
        self.identity = self._worker.identity if self._worker else _identity(settings)
        sink.settle()
        finished = sink.finished(with_errors=not retry_errors)
        self.left = [row for row in rows if self.identity.key(row) not in finished]
        self.summary = Summary(len(rows), len(rows) - len(self.left))
        self._name = sink.begin_run()

    def track(self) -> Iterator[Outcome]:
        """Track what is left; yield what came of each video as soon as it is finished.

        Raises:
            UserError: rows cannot be written.
        """
        for item, result in self._engine.run(
            self._make_worker(), [row.to_dict() for row in self.left]
        ):
            outcome = self._lost(VideoRow(**item)) if result is None else Outcome(**result)
            if outcome.fatal:
                raise UserError(outcome.fatal)
            self.summary.add(outcome)
            self.summary.seconds = time.perf_counter() - self._started
            yield outcome

    def _make_worker(self) -> Callable[[], Worker]:
        worker = self._worker
        if worker is not None:
            return lambda: worker
        return partial(VideoWorker, self._settings, self._sink, self.identity)

    def _lost(self, row: VideoRow) -> Outcome:
        """Write the row of a video that took its workers with it, unless its rows are there."""
        file = self._sink.file(self.identity.key(row))
        if is_file(file):  # they died after it was finished
            return outcome_in(read_rows(file))
        error = (
            f"its worker died {self._engine.deaths} times, as it does where memory is short; "
            "try it alone, with fewer points or smaller inference.block"
        )
        return write_error(self._sink, self.identity.facts(row, 0.0, error=error))

    def finish(self) -> Summary:
        """Move all rows into shards, unless another run has begun at this place meanwhile.

        Raises:
            UserError: rows cannot be read or written.
        """
        if self._sink.is_last_run(self._name):
            # Listed once for all: a listing tells of every file, a shard has few of them.
            by_shard = self._sink.files_by_shard()
            items = [{"shard": shard, "keys": keys} for shard, keys in sorted(by_shard.items())]
            # On one machine it is reading and writing, which does not wait for actors to start.
            engine = self._engine if self._engine.address else Engine()
            merged = engine.run(partial(_Merger, self._sink), items)
            if lost := sum(result is None for _, result in merged):
                log.warning("%d shards were not written; the next run will write them", lost)
            self.summary.shards = self._sink.shards
        else:
            log.warning("another run works on %s, and will make the shards", self._sink.place)
        self.summary.seconds = time.perf_counter() - self._started
        return self.summary


class _Merger:
    """Merges the shards that it is given."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def __call__(self, item: Item) -> Item:
        return {"videos": self._sink.merge(item["shard"], item["keys"])}


def _identity(settings: BulkSettings) -> Identity:
    """Load the tracker to learn what it is; where it will run there may be another device."""
    _, tracker = replace(settings, device="cpu").open_tracker()
    return Identity(settings.fingerprint, tracker)
