"""The commands and the Python of the documents do what they are written for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from tiny_models import tiny_tracker

from tracker import PointTracker
from tracker.cli.main import COMMANDS
from tracker.settings import compose
from tracker.settings.composing import COMMANDS as WITH_SETTINGS
from tracker.video.writing import write_video

ROOT = Path(__file__).resolve().parent.parent
CARDS = sorted((ROOT / "tracker" / "assets").rglob("README.md"))
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *CARDS,
]
SETTINGS = {command: file for file, command in WITH_SETTINGS.items()}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SIZE = (640, 360)


def blocks(document: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(document.read_text()) if kind == language]


def commands() -> Iterator[tuple[str, ...]]:
    """Yield what follows `vjepa-tracker` in each line of the documents' shell blocks."""
    seen = set()
    for document in DOCUMENTS:
        for text in blocks(document, "bash"):
            for line in text.replace("\\\n", " ").splitlines():
                words = tuple(shlex.split(line, comments=True))
                if words[:1] == ("vjepa-tracker",) and words not in seen:
                    seen.add(words)
                    yield words[1:]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_are_understood(words: tuple[str, ...]) -> None:
    command, *arguments = words
    if "--help" in arguments:
        assert command in COMMANDS
    elif command in SETTINGS:
        compose(SETTINGS[command], arguments, None)
    else:
        module, _ = COMMANDS[command]
        import_module(f"tracker.cli.{module}").build_parser().parse_args(arguments)


def test_there_are_commands() -> None:
    assert {"track", "evaluate", "train", "pretrain", "analyze"} <= {
        words[0] for words in commands()
    }


WITH_PYTHON = [document for document in DOCUMENTS if blocks(document, "python")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "document", WITH_PYTHON, ids=[str(path.relative_to(ROOT)) for path in WITH_PYTHON]
)
def test_python_runs_as_it_is_written(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, in one session, with a tracker that is quicker than the one that they load."""
    picture = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    write_video(tmp_path / "clip.mp4", [picture] * 130, fps=24)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PointTracker, "from_pretrained", lambda *args, **kwargs: tiny_tracker())
    names: dict[str, object] = {}
    for text in blocks(document, "python"):
        exec(compile(text, str(document), "exec"), names)
