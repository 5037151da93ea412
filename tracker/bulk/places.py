"""Files and folders at any address that fsspec knows: a local path, `s3://`, `https://` ...

What is written appears whole or not at all. On a disk that is a rename; an object store shows an
object once its upload is complete; elsewhere the upload goes to another name first.
"""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tracker.errors import UserError
from tracker.files import atomic_path

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf", "oci", "memory"}
"""Protocols where an upload cannot be seen before it is complete."""

PIECE = 2**20
"""Bytes that are copied at a time."""


def is_local(address: str) -> bool:
    """Return whether an address is a path on this machine's disks."""
    return "://" not in address or address.startswith("file://")


def local_path(address: str) -> Path:
    """Return the path of a local address, absolute, for workers may stand in other folders."""
    path = unquote(urlsplit(address).path) if address.startswith("file://") else address
    return Path(path).expanduser().absolute()


def join(place: str, *names: str) -> str:
    """Return the address of something below a place."""
    if is_local(place):
        return str(local_path(place).joinpath(*names))
    return posixpath.join(place, *names)


def open_place(address: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of an address, and its path there.

    Raises:
        UserError: the protocol is unknown, or what speaks it is not installed.
    """
    import fsspec

    try:
        if is_local(address):
            return fsspec.filesystem("file"), str(local_path(address))
        return fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise UserError(
            f"{address} cannot be opened ({_reason(error)}); s3:// and http:// come with: "
            "pip install 'vjepa-tracker[bulk]'"
        ) from error
    except ValueError as error:
        raise UserError(f"{address} cannot be opened ({_reason(error)}); check it") from error


def is_file(address: str) -> bool:
    """Return whether an address is that of a file.

    Raises:
        UserError: its store cannot be reached.
    """
    fs, path = open_place(address)
    with reported("read", address):
        return bool(fs.isfile(path))


def list_files(place: str) -> dict[str, int]:
    """Return the names and sizes in bytes of the files right below a place; none where none is.

    Raises:
        UserError: it cannot be read.
    """
    fs, path = open_place(place)
    with reported("read", place):
        fs.invalidate_cache()  # listings may be older than what other workers wrote
        try:
            found = fs.ls(path, detail=True)
        except FileNotFoundError:
            return {}
    return {
        posixpath.basename(entry["name"]): int(entry.get("size") or 0)
        for entry in found
        if entry["type"] == "file"
    }


def read_bytes(address: str) -> bytes | None:
    """Return what a small file holds; None where there is none.

    Raises:
        UserError: it cannot be read.
    """
    fs, path = open_place(address)
    with reported("read", address):
        try:
            return fs.cat_file(path)
        except FileNotFoundError:
            return None


def delete(address: str) -> None:
    """Delete a file; that it is gone already is no error.

    Raises:
        UserError: it cannot be deleted.
    """
    fs, path = open_place(address)
    with reported("delete", address):
        try:
            fs.rm_file(path)
        except FileNotFoundError:
            return


@contextmanager
def atomic_place(address: str) -> Iterator[Path]:
    """Yield a local path to write to; what it holds is at the address when the block is done.

    Args:
        address: of a file; one that is there is replaced, whole by whole. Folders are made.

    Raises:
        UserError: it cannot be written.
        OSError: an upload failed, and may succeed when tried again.
    """
    if is_local(address):
        target = local_path(address)
        with reported("write", address):
            target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as partial:
            yield partial
        return
    with TemporaryDirectory(prefix="vjepa-") as folder:
        local = Path(folder) / posixpath.basename(address)
        yield local
        _upload(local, address)


def _upload(local: Path, address: str) -> None:
    fs, path = open_place(address)
    if address.partition("://")[0] in OBJECT_STORES:
        fs.put_file(str(local), path)
        return
    partial = f"{path}.part-{uuid.uuid4().hex[:8]}"
    fs.makedirs(posixpath.dirname(path), exist_ok=True)
    try:
        fs.put_file(str(local), partial)
        fs.mv(partial, path)
    except OSError:
        if fs.exists(partial):
            fs.rm_file(partial)
        raise


@contextmanager
def local_copy(address: str, limit: int) -> Iterator[Path]:
    """Yield a local file or folder: the thing itself, or a copy that is deleted after the block.

    Args:
        address: of a file; of a folder only where it is local.
        limit: bytes; what is larger is not copied.

    Raises:
        UserError: there is no such file, or it is larger.
        OSError: the copy failed, and may succeed when tried again.
    """
    if is_local(address):
        yield local_path(address)
        return
    fs, path = open_place(address)
    with TemporaryDirectory(prefix="vjepa-") as folder:
        local = Path(folder) / _file_name(address)
        # Block size 0 reads http:// as a stream, also where a server does not say how long it is.
        streamed = {"block_size": 0} if urlsplit(address).scheme in ("http", "https") else {}
        try:
            with fs.open(path, "rb", **streamed) as remote, local.open("wb") as copy:
                while piece := remote.read(PIECE):
                    copy.write(piece)
                    if copy.tell() > limit:
                        raise UserError(
                            f"{address} is larger than {limit / 1e9:.3g} GB; copy it to a disk, or "
                            "raise --largest"
                        )
        except FileNotFoundError as error:
            raise UserError(f"{address} does not exist; check the address") from error
        yield local


def _file_name(address: str) -> str:
    """Return the name that a copy gets: readers choose by its suffix."""
    return posixpath.basename(unquote(urlsplit(address).path)) or "video"


@contextmanager
def reported(verb: str, address: str) -> Iterator[None]:
    """Tell in one line what goes wrong at an address, whatever its store raises.

    Raises:
        UserError: something did.
    """
    try:
        yield
    except UserError:
        raise
    # Stores raise what their clients do: botocore's, aiohttp's, OSError.
    except Exception as error:
        raise UserError(
            f"cannot {verb} {address} ({_reason(error)}); check address, rights and network"
        ) from error


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())[:200]
