"""Where the rows go: a file for each video as it is finished, and shards of many in the end.

    PLACE/track-many.json                  layout and number of shards, settled when it is made
    PLACE/videos/KEY.parquet               the rows of one finished video
    PLACE/shards/shard-3-of-16.parquet     the rows of many
    PLACE/previews/KEY.png, PLACE/drawn/KEY.mp4

A key is a hash of the video's id and range, its queries, the settings and the tracker. A video is
finished when its file is there, or its key in its shard; both are written whole or not at all. Into
which shard a key belongs follows from the key alone, so a shard is replaced by itself and the new
files, and only then are these deleted: whatever is killed at whatever moment, every finished video
is in a file or in its shard, and where it is in both the rows are those of the same work, of which
the file's count.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracker.bulk.places import (
    atomic_place,
    delete,
    is_file,
    join,
    list_files,
    open_place,
    read_bytes,
    reported,
)
from tracker.bulk.schema import LAYOUTS, schema
from tracker.errors import UserError
from tracker.files import UNREADABLE

if TYPE_CHECKING:
    import pyarrow as pa

SETTINGS = "track-many.json"
RUN = "run.json"
VIDEOS, SHARDS, PREVIEWS, DRAWN = "videos", "shards", "previews", "drawn"
FORMAT = 1
VIDEOS_A_SHARD = 256
READERS = 32
"""Files that are read at once: stores answer late, but many at a time."""


def hash_of(*parts: object) -> str:
    """Return 16 letters that stand for these parts, which JSON must be able to hold."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Sink:
    """Rows of many videos at one place.

    Attributes:
        place: path or address of a folder.
        layout: what a row is, one of `LAYOUTS`.
        shards: how many files the rows end in.
    """

    place: str
    layout: str
    shards: int

    @classmethod
    def open(cls, place: str, layout: str | None, videos: int) -> Sink:
        """Open a place that holds rows, or nothing yet; `settle` is what writes to it first.

        Args:
            place: path or address of a folder.
            layout: one of `LAYOUTS`; None takes that of the place, `points` for a new one.
            videos: how many there will be, as far as is known: a shard holds about 256.

        Raises:
            UserError: it cannot be read, or holds something else.
        """
        found = cls.find(place)
        if found is None:
            _check_empty(place)
            found = cls(place, layout or LAYOUTS[0], max(1, -(-videos // VIDEOS_A_SHARD)))
        if layout not in (None, found.layout):
            raise UserError(
                f"{place} holds a row for each of its {found.layout}, not {layout}; leave out "
                "--rows, or name another --out"
            )
        return found

    @classmethod
    def find(cls, place: str) -> Sink | None:
        """Open a place that is there already; None where there is none.

        Raises:
            UserError: it cannot be read, or is of another version.
        """
        if is_file(place):
            raise UserError(f"{place} is a file; name a folder")
        file = join(place, SETTINGS)
        content = read_bytes(file)
        if content is None:
            return None
        try:
            told = json.loads(content)
            found = cls(place, told["layout"], int(told["shards"]))
            same = told["format"] == FORMAT and told["columns"] == found.columns
        except UNREADABLE as error:
            raise UserError(f"{file} is damaged ({error}); name another --out") from error
        if not same:
            raise UserError(
                f"{place} was written by another version, with other columns; name another --out"
            )
        return found

    def settle(self) -> None:
        """Write what the place holds, unless it says so already.

        Raises:
            UserError: it cannot be written to, or another run has made another sink of it.
        """
        found = Sink.find(self.place)
        if found is not None:
            if found != self:
                raise UserError(f"another run has just begun at {self.place}; start this one again")
            return
        content = {"format": FORMAT, "layout": self.layout, "shards": self.shards}
        _write_json(join(self.place, SETTINGS), content | {"columns": self.columns})

    @property
    def columns(self) -> list[str]:
        """Names and types of the columns."""
        return [f"{field.name}: {field.type}" for field in schema(self.layout)]

    # --- files ---

    def file(self, key: str) -> str:
        """Return the address of the rows of one video."""
        return join(self.place, VIDEOS, f"{key}.parquet")

    def preview(self, key: str) -> str:
        """Return the address of a video's contact sheet."""
        return join(self.place, PREVIEWS, f"{key}.png")

    def drawn(self, key: str) -> str:
        """Return the address of the video that shows the points of another."""
        return join(self.place, DRAWN, f"{key}.mp4")

    def shard_of(self, key: str) -> int:
        """Return the number of the shard that a key belongs to."""
        return int(key, 16) % self.shards

    def shard(self, number: int) -> str:
        """Return the address of a shard."""
        return join(self.place, SHARDS, self._shard_name(number))

    # --- what is finished ---

    def files(self) -> list[str]:
        """Return the keys of the videos that have a file, in order."""
        names = list_files(join(self.place, VIDEOS))
        keys = [name.removesuffix(".parquet") for name in names if not name.startswith(".")]
        return sorted(key for key in keys if _is_key(key))

    def finished(self, with_errors: bool = True) -> set[str]:
        """Return the keys of the videos that have rows.

        Args:
            with_errors: whether videos count that could not be tracked.

        Raises:
            UserError: a file cannot be read.
        """
        # Files first: what becomes part of a shard meanwhile is then seen there.
        files = self.files()
        shards = [join(self.place, SHARDS, name) for name in self._shard_names()]
        unread = shards if with_errors else [*shards, *map(self.file, files)]
        found = set(files)
        with ThreadPoolExecutor(READERS) as readers:
            # A file counts more than its shard, and comes later.
            for keys, failed in readers.map(_keys_of, unread):
                found |= keys
                if not with_errors:
                    found -= failed
        return found

    def files_by_shard(self) -> dict[int, list[str]]:
        """Return the keys of the videos that have a file, by the shard that they belong to."""
        found: dict[int, list[str]] = {}
        for key in self.files():
            found.setdefault(self.shard_of(key), []).append(key)
        return found

    def _shard_name(self, number: int) -> str:
        return f"shard-{number}-of-{self.shards}.parquet"

    def _shard_names(self) -> list[str]:
        names = map(self._shard_name, range(self.shards))
        there = list_files(join(self.place, SHARDS))
        return [name for name in names if name in there]

    # --- writing ---

    def write(self, key: str, rows: pa.Table) -> None:
        """Write the rows of one video, replacing those that are there.

        Raises:
            UserError: they cannot be written.
            OSError: an upload failed, and may succeed when tried again.
        """
        _write_rows(self.file(key), rows)

    def merge(self, number: int, keys: Sequence[str]) -> int:
        """Move the rows of files into their shard; return how many videos' rows it holds then.

        May be stopped at any moment and called again.

        Args:
            number: of the shard.
            keys: of it, whose files are to be moved; some may have been moved before.

        Raises:
            UserError: rows cannot be read or written.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        with ThreadPoolExecutor(READERS) as readers:
            there = readers.map(is_file, map(self.file, keys))
            keys = [key for key, is_there in zip(keys, there, strict=True) if is_there]
            tables = list(readers.map(read_rows, map(self.file, keys)))
        if is_file(self.shard(number)):
            old = read_rows(self.shard(number))
            tables.append(old.filter(pc.invert(pc.is_in(old["key"], pa.array(keys, pa.string())))))
        rows = pa.concat_tables(tables) if tables else schema(self.layout).empty_table()
        order = ["key", "point"] if self.layout == "points" else ["key"]
        rows = rows.sort_by([(name, "ascending") for name in order])
        if keys:
            _write_rows(self.shard(number), rows)
            with ThreadPoolExecutor(READERS) as deleters:
                list(deleters.map(delete, map(self.file, keys)))
        return pc.count_distinct(rows["key"]).as_py()

    def read(self) -> pa.Table:
        """Return all rows, each once, also of a run that goes on or was killed.

        Raises:
            UserError: a file cannot be read.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        files = self.files()
        with ThreadPoolExecutor(READERS) as readers:
            new = [*readers.map(read_rows, map(self.file, files))]
            shards = [join(self.place, SHARDS, name) for name in self._shard_names()]
            old = [*readers.map(read_rows, shards)]
        newer = pa.array(files, pa.string())
        kept = [table.filter(pc.invert(pc.is_in(table["key"], newer))) for table in old]
        return pa.concat_tables([schema(self.layout).empty_table(), *new, *kept])

    # --- one run at a time makes shards ---

    def begin_run(self) -> str:
        """Note that a run begins here; return its name. The last to begin makes the shards."""
        run = uuid.uuid4().hex
        _write_json(join(self.place, RUN), {"run": run})
        return run

    def is_last_run(self, run: str) -> bool:
        """Return whether no other run has begun here since."""
        content = read_bytes(join(self.place, RUN))
        return content is not None and json.loads(content) == {"run": run}


def read_rows(address: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file.

    Raises:
        UserError: it is missing, damaged, or its store cannot be reached.
    """
    import pyarrow.parquet as pq

    fs, path = open_place(address)
    with reported("read", address), fs.open(path, "rb") as file:
        return pq.read_table(file, columns=columns)


def _keys_of(address: str) -> tuple[set[str], set[str]]:
    """Return the keys in a file, and those of them that have an error."""
    import pyarrow.compute as pc

    rows = read_rows(address, ["key", "error"])
    failed = rows.filter(pc.is_valid(rows["error"]))
    return set(rows["key"].unique().to_pylist()), set(failed["key"].unique().to_pylist())


def _write_rows(address: str, rows: pa.Table) -> None:
    import pyarrow.parquet as pq

    with atomic_place(address) as path:
        pq.write_table(rows, path, compression="zstd")


def _write_json(address: str, content: dict[str, Any]) -> None:
    with reported("write", address), atomic_place(address) as path:
        path.write_text(json.dumps(content, indent=2) + "\n")


def _check_empty(place: str) -> None:
    """Fail where a new place holds something."""
    fs, path = open_place(place)
    with reported("read", place):
        fs.invalidate_cache()
        try:
            held = fs.ls(path, detail=False)
        except FileNotFoundError:
            return
    names = [name.rstrip("/").rpartition("/")[2] for name in held]
    if names := [name for name in names if not name.startswith(".")]:
        raise UserError(
            f"{place} holds something else ({sorted(names)[0]}); name an empty place, or one that "
            "track-many wrote"
        )


def _is_key(name: str) -> bool:
    return len(name) == 16 and all(letter in "0123456789abcdef" for letter in name)
