"""One video after another: fetch, open, choose points, track, write its rows.

The same function runs in this process and in the actors of a cluster. What goes wrong with a video
becomes its row; what goes wrong with the sink ends the run, for then nothing can be written.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tracker.bulk.manifest import VideoRow
from tracker.bulk.places import atomic_place, local_copy
from tracker.bulk.schema import VideoFacts, rows_of
from tracker.bulk.sink import Sink, hash_of
from tracker.errors import UserError, log
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.registry import Tracker, make_tracker
from tracker.video.loading import load_video
from tracker.video.video import Video

if TYPE_CHECKING:
    import pyarrow as pa

Choose = Callable[[Video, Path | None], Queries]
"""Makes the queries of a video, from a file where its row names one."""


@dataclass(frozen=True)
class BulkSettings:
    """What is done with every video.

    Attributes:
        tracker: a name that `make_tracker` knows.
        changes: settings of a learned tracker to replace.
        choose: makes the queries; it goes to the workers, so that it must be picklable.
        queries: what `choose` goes by, as JSON has it; videos tracked by other values count as
            not tracked.
        stride: every so manyth frame is tracked.
        fps: rate of folders and arrays, which do not say.
        deinterlace: make whole frames of interlaced ones.
        device: where a learned tracker runs, `auto` for a GPU where there is one.
        threads: of torch and OpenCV in each worker; None leaves them to their own choice.
        retries: how often a video is tried again after an error that may pass.
        largest: bytes; larger videos are not copied from an address.
        previews: write a contact sheet of each video.
        drawn: write a video that shows the points, of each video.
    """

    choose: Choose
    queries: Mapping[str, Any]
    tracker: str = "vjepa"
    changes: dict[str, Any] = field(default_factory=dict)
    stride: int = 1
    fps: float | None = None
    deinterlace: bool = False
    device: str = "auto"
    threads: int | None = None
    retries: int = 2
    largest: int = 4 * 10**9
    previews: bool = False
    drawn: bool = False

    @property
    def fingerprint(self) -> str:
        """Stands for what decides the tracks, but for the tracker, which has its own."""
        return hash_of(dict(self.queries), self.stride, self.fps, self.deinterlace)

    def open_tracker(self) -> tuple[Tracker, str]:
        """Load the tracker; return it and its fingerprint, a name where it has no weights.

        Raises:
            UserError: no such tracker, setting or device.
        """
        from tracker.devices import set_threads

        set_threads(self.threads)
        tracker = make_tracker(self.tracker, self.changes, self.device)
        return tracker, getattr(tracker, "fingerprint", self.tracker)


@dataclass(frozen=True)
class Outcome:
    """What came of a video.

    Attributes:
        key: of the video.
        frames: that were tracked.
        points: that were followed.
        seconds: that it took.
        error: why it was not tracked.
        fatal: why no row could be written.
    """

    key: str
    frames: int = 0
    points: int = 0
    seconds: float = 0.0
    error: str | None = None
    fatal: str | None = None


@dataclass(frozen=True)
class Identity:
    """What the rows of a run have in common.

    Attributes:
        settings: fingerprint of the settings.
        tracker: fingerprint of the tracker.
    """

    settings: str
    tracker: str

    def key(self, row: VideoRow) -> str:
        """Return what the rows of a video are found by; its address is not part of it."""
        return hash_of(row.id, row.start, row.stop, row.queries, self.settings, self.tracker)

    def facts(
        self, row: VideoRow, seconds: float, warning: str | None = None, error: str | None = None
    ) -> VideoFacts:
        """Return what the rows of a video tell of it."""
        key = self.key(row)
        return VideoFacts(
            key, row.id, row.uri, self.settings, self.tracker, seconds, warning, error
        )


class VideoWorker:
    """Tracks the videos that it is given, with a tracker that is loaded once.

    Args:
        settings: what is done with every video.
        sink: where rows go.
        expected: what the run's rows have in common; None where this worker says what.

    Raises:
        UserError: the tracker cannot be loaded, or is another one than that of the run.
    """

    def __init__(
        self, settings: BulkSettings, sink: Sink, expected: Identity | None = None
    ) -> None:
        self._settings, self._sink = settings, sink
        self._tracker, found = settings.open_tracker()
        self.identity = Identity(settings.fingerprint, found)
        if expected not in (None, self.identity):
            raise UserError(
                f"tracker {settings.tracker} has other weights on this worker than where the run "
                "was started; copy the same ones to all machines"
            )

    def __call__(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Track the `VideoRow` of these fields; return the fields of its `Outcome`."""
        return vars(self.track(VideoRow(**item)))

    def track(self, row: VideoRow) -> Outcome:
        """Track a video and write its rows, whatever happens."""
        started = time.perf_counter()
        warnings: list[str] = []
        error = "it was not tried"
        for _ in range(1 + self._settings.retries):
            warnings.clear()
            try:
                with warnings_in(warnings):
                    return self._track(row, started, warnings)
            except UserError as reason:
                error = str(reason)
                break  # it would be the same again
            except Exception as reason:  # whatever it is, the other videos go on
                error = f"{type(reason).__name__}: {' '.join(str(reason).split())[:300]}"
        seconds = time.perf_counter() - started
        return write_error(self._sink, self.identity.facts(row, seconds, _joined(warnings), error))

    def _track(self, row: VideoRow, started: float, warnings: list[str]) -> Outcome:
        chosen = self._settings
        with local_copy(row.uri, chosen.largest) as path, self._queries(row) as file:
            video = load_video(
                path, row.start, row.stop, chosen.stride, chosen.fps, chosen.deinterlace
            )
            tracks = self._tracker.track(video, chosen.choose(video, file), progress=False)
            key = self.identity.key(row)
            self._draw(video, tracks, key)
        seconds = time.perf_counter() - started
        facts = self.identity.facts(row, seconds, _joined(warnings))
        # The rows come last: where they are, the pictures are.
        self._sink.write(key, rows_of(facts, tracks, self._sink.layout))
        return Outcome(key, tracks.num_frames, len(tracks), seconds)

    @contextmanager
    def _queries(self, row: VideoRow) -> Iterator[Path | None]:
        """Yield the file of a row's own queries; None where it has none."""
        if row.queries is None:
            yield None
        elif row.queries.lstrip().startswith("["):
            with TemporaryDirectory(prefix="vjepa-") as folder:
                file = Path(folder) / "queries.json"
                file.write_text(row.queries, encoding="utf-8")
                yield file
        else:
            with local_copy(row.queries, self._settings.largest) as file:
                yield file

    def _draw(self, video: Video, tracks: Tracks, key: str) -> None:
        if self._settings.previews:
            with atomic_place(self._sink.preview(key)) as path:
                tracks.plot(video).save(path)
        if self._settings.drawn:
            with atomic_place(self._sink.drawn(key)) as path:
                tracks.render(video, path, progress=False)


def write_error(sink: Sink, facts: VideoFacts) -> Outcome:
    """Write the row of a video that was not tracked; where even that fails, say so."""
    try:
        sink.write(facts.key, rows_of(facts, None, sink.layout))
    except (UserError, OSError) as reason:
        return Outcome(facts.key, error=facts.error, fatal=str(reason))
    return Outcome(facts.key, seconds=facts.seconds, error=facts.error)


def outcome_in(rows: pa.Table) -> Outcome:
    """Return what the rows of a video tell of how it went."""
    first = rows.slice(0, 1).to_pylist()[0]
    points = first["points"] if "points" in first else len(rows)
    if first["error"] is not None:
        return Outcome(first["key"], seconds=first["seconds"], error=first["error"])
    return Outcome(first["key"], first["frames"], points, first["seconds"])


def _joined(lines: list[str]) -> str | None:
    return "; ".join(dict.fromkeys(lines)) or None


@contextmanager
def warnings_in(lines: list[str]) -> Iterator[None]:
    """Collect what is warned of, which belongs to the video's row and not on the screen."""

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handlers, propagate = log.handlers[:], log.propagate
    log.handlers[:], log.propagate = [Collect(logging.WARNING)], False
    try:
        yield
    finally:
        log.handlers[:], log.propagate = handlers, propagate
