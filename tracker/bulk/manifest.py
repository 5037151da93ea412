"""Which videos there are: a row each, from folders, patterns, single files and manifests.

A manifest is a table, CSV or Parquet, with the column `uri` and, where they are wanted, `id`,
`start`, `stop` (frames) and `queries`: the name of a file of queries, or rows of t, x, y as JSON.
Relative names count from the manifest's own folder; other columns are ignored.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tracker.bulk.places import is_local, join, local_path, open_place, read_bytes, reported
from tracker.errors import UserError
from tracker.files import UNREADABLE
from tracker.video.video_folder import VIDEO_SUFFIXES

MANIFESTS = (".csv", ".parquet")
COLUMNS = ("uri", "id", "start", "stop", "queries")


@dataclass(frozen=True, slots=True)
class VideoRow:
    """One video that is to be tracked.

    Attributes:
        uri: path or address of the video.
        id: what names it; no two rows have the same.
        start: first frame to track.
        stop: frame to stop before; None tracks to the end.
        queries: address of a file of queries, or rows of t, x, y as JSON; None takes those that
            all videos get.
    """

    uri: str
    id: str
    start: int = 0
    stop: int | None = None
    queries: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return asdict(self)


def find_videos(
    sources: Sequence[str], start: int = 0, stop: int | None = None, queries: str | None = None
) -> list[VideoRow]:
    """Return the videos that sources name, in order.

    Args:
        sources: manifests, folders (with all below them), patterns with `*`, single videos; local
            or at any address.
        start: first frame of videos whose row names none.
        stop: frame to stop before, likewise.
        queries: file of queries of videos whose row names none; `{id}` in it stands for the id and
            `{name}` for the name of the video's file without its suffix.

    Raises:
        UserError: there is no video, a source cannot be read, or two rows have one id.
    """
    cells: list[dict[str, Any]] = []
    for source in sources:
        if source.lower().endswith(MANIFESTS):
            cells += _read_manifest(source)
        else:
            cells += [{"uri": uri} for uri in _videos_at(source)]
    rows = list(dict.fromkeys(_row(cell, start, stop, queries) for cell in cells))
    if not rows:
        raise UserError(f"no video in {', '.join(sources)}; name folders, files or a manifest")
    _check_ids(rows)
    return rows


def _row(cell: Mapping[str, Any], start: int, stop: int | None, queries: str | None) -> VideoRow:
    uri = cell["uri"]
    identity = cell.get("id") or uri
    own = cell.get("queries")
    if own is None and queries is not None:
        name = uri.rstrip("/").rpartition("/")[2].rpartition(".")
        own = queries.replace("{id}", identity).replace("{name}", name[0] or name[2])
        own = str(local_path(own)) if is_local(own) else own
    begin, end = cell.get("start"), cell.get("stop")
    return VideoRow(
        uri, identity, start if begin is None else begin, stop if end is None else end, own
    )


def _check_ids(rows: Iterable[VideoRow]) -> None:
    twice = [name for name, count in Counter(row.id for row in rows).items() if count > 1]
    if twice:
        more = f", and {len(twice) - 1} more" if len(twice) > 1 else ""
        raise UserError(
            f"two rows have the id {twice[0]}{more}; give each an id of its own (without the "
            "column id, the uri is it)"
        )


# --- folders and patterns ---


def _videos_at(source: str) -> list[str]:
    """Return the addresses of the videos that a folder, a pattern or one name stands for.

    Raises:
        UserError: a local one does not exist, or a place cannot be read.
    """
    fs, path = open_place(source)
    if source.startswith(("http://", "https://")):
        return [source]  # there are no folders
    with reported("read", source):
        if not fs.exists(path) and any(sign in path for sign in "*?["):
            found = fs.glob(path)
        elif fs.isdir(path):
            found = fs.find(path)
        elif fs.exists(path):
            return [_address(source, path)]
        else:
            raise UserError(f"{source} does not exist; check the path")
    suffixes = {*VIDEO_SUFFIXES, _suffix(source)}  # what a pattern ends in is what is wanted
    return sorted(
        _address(source, name)
        for name in found
        if _suffix(name) in suffixes and not name.rpartition("/")[2].startswith(".")
    )


def _suffix(path: str) -> str:
    return f".{path.rpartition('/')[2].rpartition('.')[2].lower()}"


def _address(source: str, path: str) -> str:
    """Return the whole address of a path that a file system listed."""
    if is_local(source):
        return path
    protocol = source.partition("://")[0]
    return path if "://" in path else f"{protocol}://{path}"


# --- manifests ---


def _read_manifest(source: str) -> Iterator[dict[str, Any]]:
    """Yield the cells of each row, checked.

    Raises:
        UserError: it is missing, damaged, without `uri`, or a cell is not what it must be.
    """
    content = read_bytes(source)
    if content is None:
        raise UserError(f"manifest {source} does not exist; check the path")
    read = _csv_rows if source.lower().endswith(".csv") else _parquet_rows
    try:
        columns, rows = read(content)
    except UserError:
        raise
    except (*UNREADABLE, csv.Error) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"manifest {source} cannot be read ({reason}); write it again") from error
    if "uri" not in columns:
        raise UserError(
            f"manifest {source} has no column uri, but {', '.join(columns) or 'none'}; "
            "uri names each video"
        )
    folder = str(local_path(source).parent) if is_local(source) else source.rpartition("/")[0]
    for number, row in enumerate(rows, start=1):
        yield _cell(row, folder, f"row {number} of manifest {source}")


def _csv_rows(content: bytes) -> tuple[list[str], list[dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    rows = list(reader)
    return list(reader.fieldnames or ()), rows


def _parquet_rows(content: bytes) -> tuple[list[str], list[dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    known = [name for name in COLUMNS if name in table.column_names]
    return table.column_names, table.select(known).to_pylist()


def _cell(row: Mapping[str, Any], folder: str, where: str) -> dict[str, Any]:
    """Return the known cells of a row, those that are empty left out; names become addresses."""
    given = {name: row.get(name) for name in COLUMNS}
    cells = {name: value for name, value in given.items() if value not in (None, "")}
    if not isinstance(cells.get("uri"), str):
        raise UserError(f"{where} has no uri; it names the video")
    cells["uri"] = _absolute(cells["uri"], folder)
    if "id" in cells:
        cells["id"] = str(cells["id"])
    for name in ("start", "stop"):
        if name in cells:
            cells[name] = _frame(cells[name], f"{name} in {where}")
    if "queries" in cells:
        cells["queries"] = _queries(cells["queries"], folder)
    return cells


def _frame(value: object, where: str) -> int:
    try:
        number = float(str(value))
        if number < 0 or number != int(number):
            raise ValueError
    except (ValueError, OverflowError):
        raise UserError(f"{where} is {value!r}; it is a frame number, 0 or more") from None
    return int(number)


def _queries(value: object, folder: str) -> str:
    if not isinstance(value, str):
        return json.dumps(value)  # a Parquet file may hold rows as lists
    return value if value.lstrip().startswith("[") else _absolute(value, folder)


def _absolute(name: str, folder: str) -> str:
    if not is_local(name):
        return name
    if name.startswith(("/", "~", "file://")):
        return str(local_path(name))
    return join(folder, name)
