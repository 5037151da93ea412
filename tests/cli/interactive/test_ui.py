"""The command `ui`: what it refuses, and that it serves until it is ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nowhere.mp4"], "nowhere.mp4 does not exist"),
        (["--port", "70000"], "--port 70000"),
        (["--max-mb", "0"], "--max-mb"),
        (["--max-frames", "0"], "--max-frames"),
        (["--tracker", "unknown"], "unknown"),
    ],
)
def test_mistakes_are_one_line(
    run_cli: Callable, refused: Callable, options: list[str], words: str
) -> None:
    pytest.importorskip("gradio", reason="needs the extra web")
    refused(run_cli("ui", *options), words)


def test_a_video_that_is_too_long_is_refused_at_once(
    run_cli: Callable, refused: Callable, clip: Path
) -> None:
    pytest.importorskip("gradio", reason="needs the extra web")
    refused(run_cli("ui", clip, "--max-frames", "59"), "60 frames", "--max-frames")


@pytest.mark.slow
def test_it_serves_on_this_machine_alone_and_cleans_up(clip: Path, tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="needs the extra web")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "tracker.cli", "ui", str(clip), "--tracker", "lk", "--port=0"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE) as server:
        try:
            lines = iter(server.stdout.readline, b"")
            found = (re.search(rb"http://127\.0\.0\.1:(\d+)", line) for line in lines)
            port = int(next(filter(None, found))[1])
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            page = opener.open(f"http://127.0.0.1:{port}/").read().decode()
            assert "stage/stage.js" in page and 'analytics_enabled":false' in page.replace(" ", "")
            other = urllib.request.Request(
                f"http://127.0.0.1:{port}/", headers={"Host": "evil.org"}
            )
            with pytest.raises(urllib.error.HTTPError, match="400"):
                opener.open(other)
            assert list(tmp_path.glob("vjepa-tracker-*"))
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=120)
    assert server.returncode == 143 and not list(tmp_path.glob("vjepa-tracker-*"))
