"""The commands and the Python of the documents do what they are written for."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from tiny_models import TINY_HEAD, tiny_tracker

from tracker import PointTracker, Queries
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
WIDTH, HEIGHT = 324, 184
"""As small as holds the points that the documents ask for."""


def blocks(document: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(document.read_text()) if kind == language]


DOORS = {
    "evaluate.py": "evaluate",
    "train_tracker.py": "train",
    "pretrain_backbone.py": "pretrain",
    "data_prep.fit_template": "fit-template",
    "data_prep.export_tracker": "export",
    "data_prep.plot_run": "plot",
    "data_prep.results_table": "table",
}
"""Other ways to a command, as `python` is told them."""


def commands() -> list[list[str]]:
    """Return each command of the documents' lines that are one, and its arguments."""
    found = []
    for document in DOCUMENTS:
        for line in document.read_text().replace("\\\n", " ").splitlines():
            if line.strip().startswith(("vjepa-tracker ", "python ")):
                program, *words = shlex.split(line, comments=True)
                if program == "python":
                    door, *rest = words[1:] if words[0] == "-m" else words
                    words = [DOORS[door], *rest] if door in DOORS else []
                if words and words not in found:
                    found.append(words)
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_are_understood(words: list[str]) -> None:
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


def quick() -> PointTracker:
    """Return a tracker without optical flow, which costs most of the time of all others."""
    return tiny_tracker(head=replace(TINY_HEAD, use_flow=False))


WITH_PYTHON = [document for document in DOCUMENTS if blocks(document, "python")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "document", WITH_PYTHON, ids=[str(path.relative_to(ROOT)) for path in WITH_PYTHON]
)
def test_python_runs_as_it_is_written(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, in one session, with a quicker tracker than they load, and fewer points."""
    python = blocks(document, "python")
    length = 160 if "start=100" in "".join(python) else 32
    picture = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    write_video(tmp_path / "clip.mp4", [picture] * length, fps=24)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PointTracker, "from_pretrained", lambda *args, **kwargs: quick())
    grid = Queries.grid
    monkeypatch.setattr(Queries, "grid", lambda count, size: grid(min(count, 3), size))
    names: dict[str, object] = {}
    for text in python:
        exec(compile(text, str(document), "exec"), names)
