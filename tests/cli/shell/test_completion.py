"""Scripts for shells, made from the parsers, as real shells run them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tracker.cli.main import COMMANDS
from tracker.cli.shell.words import find_commands
from tracker.cli.track import build_parser

COMMANDS_AND_PARTS = find_commands()


@pytest.fixture
def complete(run_cli: Callable, tmp_path: Path) -> Callable[..., set[str]]:
    """Return what bash offers for the last of some words."""
    (tmp_path / "script").write_text(run_cli("completion", "bash").out)
    program = (
        'source "$1"; shift; COMP_WORDS=(vjepa-tracker "$@"); COMP_CWORD=$#\n'
        'complete -p vjepa-tracker >/dev/null || exit 1; _vjepa_tracker; echo "${COMPREPLY[@]}"'
    )

    def offered(*words: str) -> set[str]:
        command = ["bash", "-c", program, "bash", str(tmp_path / "script"), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert not done.stderr
        return set(done.stdout.split())

    return offered


def test_all_commands_and_parts_are_known() -> None:
    names = [command.name for command in COMMANDS_AND_PARTS]
    assert [name for name in names if " " not in name] == list(COMMANDS)
    assert "analyze pca" in names and len(names) == len(set(names))


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_completes_commands_options_and_values(complete: Callable[..., set[str]]) -> None:
    assert complete("tr") == {"track", "track-many", "train"}
    assert complete("") == set(COMMANDS)
    assert complete("track", "--pre") == {"--preview"}
    known = {name for action in build_parser()._actions for name in action.option_strings}
    assert complete("track", "clip.mp4", "-") == known
    assert complete("analyze", "p") == {"positional", "pca"}
    assert "--backbone" in complete("analyze", "pca", "--b")
    assert complete("convert", "t.npz", "--to", "nuk") == {"nuke", "nuke-ascii"}
    assert complete("track", "clip.mp4", "--save", "p") == {"png", "parquet"}
    assert complete("completion", "") == {"bash", "zsh", "fish"}
    assert "benchmark=" in complete("evaluate", "bench")
    # Nothing known: bash goes on to files.
    assert complete("track", "") == complete("track", "--out", "") == set()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_all_options(shell: str, run_cli: Callable, tmp_path: Path) -> None:
    result = run_cli("completion", shell)
    assert result.code == 0
    for command in COMMANDS_AND_PARTS:
        assert command.name.split()[-1] in result.out
        for name in (name for option in command.options for name in option.names):
            assert (name if shell == "zsh" else name.lstrip("-")) in result.out
    if shutil.which(shell):
        (tmp_path / "script").write_text(result.out)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_other_shells_are_refused(run_cli: Callable) -> None:
    result = run_cli("completion", "tcsh")
    assert result.code == 2 and "bash" in result.err
