"""One front door: every command behind `vjepa-tracker`, and the same behind its other doors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import tracker
from tracker.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
OTHER_DOORS = {
    "evaluate": [ROOT / "evaluate.py"],
    "train": [ROOT / "train_tracker.py"],
    "pretrain": [ROOT / "pretrain_backbone.py"],
    "fit-template": ["-m", "data_prep.fit_template"],
    "export": ["-m", "data_prep.export_tracker"],
    "plot": ["-m", "data_prep.plot_run"],
    "table": ["-m", "data_prep.results_table"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, run_cli: Callable) -> None:
    result = run_cli(command, "--help")
    assert result.code == 0 and len(result.out.splitlines()) > 5
    assert f"vjepa-tracker {command}" in result.out


@pytest.mark.parametrize("command", OTHER_DOORS)
def test_every_door_gives_the_same_help(
    command: str, run_cli: Callable, run_command: Callable, tmp_path: Path, monkeypatch: Callable
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    other = run_command(*OTHER_DOORS[command], "--help", cwd=tmp_path)
    assert other.code == 0 and other.out == run_cli(command, "--help").out


def test_every_script_is_a_door() -> None:
    scripts = {*ROOT.glob("*.py"), *(ROOT / "data_prep").glob("[!_]*.py")}
    modules = {COMMANDS[command][0] for command in OTHER_DOORS}
    assert len(scripts) == len(modules)
    for script in scripts:
        lines = script.read_text().splitlines()
        assert len(lines) < 15
        (door,) = (line for line in lines if line.startswith("from tracker.cli."))
        assert door.split()[1].removeprefix("tracker.cli.") in modules


def test_every_module_is_a_command() -> None:
    package = Path(tracker.__file__).parent / "cli"
    folders = (".", "backbones", "bulk", "exporting", "interactive", "results", "shell")
    paths = [path for folder in folders for path in (package / folder).glob("*.py")]
    names = {".".join(path.relative_to(package).with_suffix("").parts) for path in paths}
    modules = {n for n in names if not n.endswith("__init__")} - {"__main__", "main", "shell.words"}
    assert {module for module, _ in COMMANDS.values()} == modules
    for module in modules:
        assert callable(import_module(f"tracker.cli.{module}").main)


def test_overrides_pass_through(run_cli: Callable) -> None:
    result = run_cli("train", "+experiment=train/mini_match", "training.max_steps=7", "--help")
    assert result.code == 0
    assert "max_steps: 7 " in result.out and "run_dir: runs/mini_match " in result.out


def test_help_lists_all_commands(run_cli: Callable) -> None:
    out = run_cli("--help").out
    for command, (_, summary) in COMMANDS.items():
        assert any(line.split() == [command, *summary.split()] for line in out.splitlines())


@pytest.mark.parametrize("arguments", [[], ["trak"], ["--nonsense"]])
def test_what_is_no_command_is_refused(run_cli: Callable, arguments: list[str]) -> None:
    result = run_cli(*arguments)
    assert result.code == 2 and "usage: vjepa-tracker" in result.err


def test_version(run_cli: Callable) -> None:
    assert tracker.__version__ == version("vjepa-tracker")
    result = run_cli("--version")
    assert (result.code, result.out) == (0, f"vjepa-tracker {tracker.__version__}\n")


def test_help_does_not_load_torch() -> None:
    helps = [["--help"], ["--version"], ["analyze", "pca", "--help"]]
    helps += [[command, "--help"] for command in COMMANDS]
    script = (
        "import sys\nfrom tracker.cli.main import main\n"
        f"for arguments in {helps!r}:\n"
        "    try: main(arguments)\n"
        "    except SystemExit: pass\n"
        "    slow = {'torch', 'transformers'} & sys.modules.keys()\n"
        "    assert not slow, (arguments, slow)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
