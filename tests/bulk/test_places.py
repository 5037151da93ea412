"""Files at any address appear whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from tracker.bulk.places import atomic_place, delete, join, list_files, local_copy, read_bytes
from tracker.errors import UserError

MANY = 2**31


@pytest.fixture(params=["local", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield str(tmp_path / "place")
        return
    yield "memory://test-places"
    fsspec.filesystem("memory").store.clear()


def write(address: str, content: bytes) -> None:
    with atomic_place(address) as path:
        path.write_bytes(content)


def test_what_is_written_is_there(place: str) -> None:
    file = join(place, "deep", "file.bin")
    assert read_bytes(file) is None and list_files(join(place, "deep")) == {}
    write(file, b"one")
    write(file, b"three")
    assert read_bytes(file) == b"three"
    assert list_files(join(place, "deep")) == {"file.bin": 5}
    with local_copy(file, MANY) as path:
        assert path.read_bytes() == b"three" and path.name == "file.bin"
    delete(file)
    delete(file)
    assert list_files(join(place, "deep")) == {}


def test_what_fails_leaves_the_old_file(place: str) -> None:
    file = join(place, "file.bin")
    write(file, b"old")
    with pytest.raises(RuntimeError), atomic_place(file) as path:
        path.write_bytes(b"ha")
        raise RuntimeError
    assert read_bytes(file) == b"old" and list_files(place) == {"file.bin": 3}


def test_stores_that_show_half_of_an_upload_get_another_name_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as sftp; here the local disk, reached as a store."""
    from fsspec.implementations.local import LocalFileSystem

    def url_to_fs(address: str) -> tuple[LocalFileSystem, str]:
        return LocalFileSystem(), str(tmp_path / address.removeprefix("sftp://"))

    monkeypatch.setattr(fsspec.core, "url_to_fs", url_to_fs)
    write("sftp://deep/file.bin", b"whole")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file.bin"]
    uploads: list[str] = []

    def put_half(self: LocalFileSystem, local: str, remote: str) -> None:
        uploads.append(Path(remote).name)
        Path(remote).write_bytes(b"ha")
        raise OSError("connection lost")

    monkeypatch.setattr(LocalFileSystem, "put_file", put_half)
    with pytest.raises(OSError, match="connection lost"):
        write("sftp://deep/file.bin", b"other")
    assert uploads[0].startswith("file.bin.part-")
    assert [path.read_bytes() for path in (tmp_path / "deep").iterdir()] == [b"whole"]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_copies_from_the_web_are_bounded(web: str, tmp_path: Path) -> None:
    (tmp_path / "clip one.mp4").write_bytes(bytes(3000))
    with local_copy(f"{web}/clip%20one.mp4", MANY) as path:
        assert path.name == "clip one.mp4" and path.stat().st_size == 3000
    assert not path.exists()
    with (
        pytest.raises(UserError, match="larger than 1e-06 GB"),
        local_copy(f"{web}/clip%20one.mp4", 1000),
    ):
        pass
    with pytest.raises(UserError, match="does not exist"), local_copy(f"{web}/none.mp4", MANY):
        pass


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        write(str(tmp_path / "file" / "inside"), b"")
    with pytest.raises(UserError, match="cannot be opened"):
        write("nowhere://bucket/file", b"")
