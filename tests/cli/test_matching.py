"""The command that measures frozen matching."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import save_tiny_backbone, tiny_tracker
from tiny_teachers import save_tiny_teacher

SMALL = ["--size", "64", "64", "--window", "8", "--template-clips", "2", "--threads", "1"]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_backbone(tmp_path_factory.mktemp("backbone"))


def test_table(backbone: Path, benchmark_file: Path, run_cli: Callable, tmp_path: Path) -> None:
    teacher = save_tiny_teacher("vit", tmp_path / "teacher")
    tracker = tmp_path / "tracker"
    tiny_tracker(backbone).save_pretrained(tracker)
    what = ["--backbones", backbone, "--baselines", "--teacher", teacher, "--stem", tracker]
    out = tmp_path / "table.csv"
    outcome = run_cli("matching", "--tapvid", benchmark_file, *what, *SMALL, "--out", out)
    assert outcome.code == 0, outcome.err
    with out.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:3] == ["videos", "features", "all 4"] and header[-1] == "moved 32"
    alone = [str(backbone), "random weights", "raw pixels", str(teacher)]
    names = [*alone, f"stem of {tracker}", *(f"stem + 0.5 x {name}" for name in alone)]
    assert [row[1] for row in rows] == names
    for row in rows:
        shares = [float(cell) for cell in row[2:]]
        assert shares[:4] == sorted(shares[:4]) and 0 <= shares[0] <= shares[3] <= 100
        assert row[1] in outcome.out


def test_template_beside_the_weights(
    backbone: Path, benchmark_file: Path, run_cli: Callable, tmp_path: Path
) -> None:
    """`auto` takes it where it fits, and the features differ from raw ones."""
    template = backbone / "template.safetensors"
    options = ["--backbone", backbone, "--layers", "1", "2", "--size", "64", "64", "--window", "8"]
    fitted = run_cli("fit-template", *options, "--clips", "3", "--out", template)
    assert fitted.code == 0, fitted.err

    def table(*options: str | Path) -> str:
        what = ["matching", "--tapvid", benchmark_file, "--backbones", backbone, *SMALL]
        outcome = run_cli(*what, *options)
        assert outcome.code == 0, outcome.err
        return outcome.out

    assert table() == table("--template", template) != table("--template", "none")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give --tapvid, --videos or --scenes"),
        (["--tapvid", "nowhere.pkl"], "nowhere.pkl does not exist"),
        (["--scenes", "1", "--template-clips", "1"], "give 2 or more"),
        (["--scenes", "1", "--backbones", "./nowhere"], "nowhere"),
        (["--scenes", "1", "--template", "nowhere.safetensors"], "does not exist"),
        (["--scenes", "1", "--device", "abacus"], "abacus"),
        (["--scenes", "1", "--out", "."], "is a folder; name a file"),
    ],
    ids=str,
)
def test_bad_input(arguments: list[str], words: str, run_cli: Callable, refused: Callable) -> None:
    refused(run_cli("matching", *arguments), words)
