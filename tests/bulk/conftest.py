"""Tiny videos, what is done with them, and an object store on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_bulk import SETTINGS

from tracker.bulk.worker import BulkSettings
from tracker.video.writing import write_video


@pytest.fixture
def settings() -> BulkSettings:
    return SETTINGS


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory, make_frames: Callable) -> Path:
    """Four videos that can be tracked, one that is none, and one that memory is too short for."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(4):
        write_video(folder / f"{number}.mp4", make_frames(5 + number, seed=number), fps=10)
    (folder / "broken.mp4").write_bytes(b"no video")
    write_video(folder / "memory.mp4", make_frames(3), fps=10)
    return folder


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket of a server on this machine."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="bucket")
    yield "s3://bucket"
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()
