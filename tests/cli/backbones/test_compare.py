"""`vjepa-tracker compare`: encoders in one table, one picture and one page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import save_tiny_backbone
from tiny_teachers import FAMILIES, save_tiny_teacher

SMALL = [
    "input_size=[112,112]",
    "window=4",
    "template_clips=2",
    "threads=1",
    "benchmark=procedural",
    "benchmark.scenes=1",
    "benchmark.config.frames=4",
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    base = tmp_path_factory.mktemp("encoders")
    pictures = [save_tiny_teacher(family, base / family) for family in FAMILIES]
    return [save_tiny_backbone(base / "video"), *pictures]


def test_one_page(folders: list[Path], run_cli: Callable, tmp_path: Path) -> None:
    names = [*map(str, folders), "pixels"]
    backbones = f"backbones=[{','.join(names)}]"
    outcome = run_cli("compare", backbones, *SMALL, f"output_dir={tmp_path / 'out'}")
    assert outcome.code == 0, outcome.err
    numbers = json.loads((tmp_path / "out" / "comparison.json").read_text())
    position = numbers["Position in the features of the last layer"]
    assert list(position) == names
    assert [position[name]["frame mode"] for name in names] == ["tubelet", *["image"] * 6]
    assert all(0 <= row["share of variance"] <= 1 for row in position.values())
    (found,) = (rows for title, rows in numbers.items() if title.startswith("Found"))
    for row in found.values():
        shares = [row[f"all {limit}"] for limit in (4, 8, 16, 32)]
        assert shares == sorted(shares) and 0 <= shares[0] <= shares[3] <= 100
    page = (tmp_path / "out" / "report.html").read_text()
    assert all(name in page for name in names) and "data:image/png" in page
    assert (tmp_path / "out" / "components.png").is_file()


def test_read_as_the_template_beside_says(
    folders: list[Path], run_cli: Callable, tmp_path: Path
) -> None:
    source = save_tiny_backbone(tmp_path / "backbone")
    options = ["--layers", "1", "--size", "64", "64", "--window", "2", "--clips", "2"]
    beside = source / "template.safetensors"
    assert run_cli("fit-template", "--backbone", source, *options, "--out", beside).code == 0
    outcome = run_cli("compare", f"backbones=[{source}]", *SMALL, f"output_dir={tmp_path / 'out'}")
    assert outcome.code == 0, outcome.err
    numbers = json.loads((tmp_path / "out" / "comparison.json").read_text())
    row = numbers["Position in the features of the last layer"][str(source)]
    assert (row["layers"], row["window"]) == ("1", 2)


def test_heads_with_equal_steps(folders: list[Path], run_cli: Callable, tmp_path: Path) -> None:
    train = (
        'train=["training.workers=0","data.frames=2","data.size=[64,64]","data.points=8",'
        '"fine_size=[64,64]","head=coarse_only","validation.scenes=1","validation.config.frames=4",'
        '"training.batch_size=1"]'
    )
    outcome = run_cli(
        "compare",
        f"backbones=[{folders[2]},pixels]",
        *SMALL,
        "steps=1",
        train,
        f"output_dir={tmp_path / 'out'}",
    )
    assert outcome.code == 0, outcome.err
    numbers = json.loads((tmp_path / "out" / "comparison.json").read_text())
    (heads,) = (rows for title, rows in numbers.items() if title.startswith("A head"))
    assert list(heads) == [str(folders[2]), "pixels"]
    assert all(0 <= score <= 100 for row in heads.values() for score in row.values())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["backbones=[]"], "name one or more"),
        (["backbones=[pixels,pixels]"], "each once"),
        (["backbones=[nothing/here]"], "nothing/here"),
        (["backbones=[pixels]", "input_size=[60,64]"], "multiples of 16"),
        (["steps=-1"], "steps=-1"),
        (["template_clips=1"], "template_clips=1"),
    ],
)
def test_refused_in_one_line(
    changes: list[str],
    words: str,
    run_cli: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    outcome = run_cli("compare", *SMALL, *changes, f"output_dir={tmp_path / 'out'}")
    assert outcome.code == 2
    assert words in outcome.err and outcome.err.count("\n") == 1
