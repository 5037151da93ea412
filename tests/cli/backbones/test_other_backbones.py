"""V-JEPA 2.1 and encoders of pictures go through every command that reads frozen features."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from meta_files import save_meta_21
from tiny_teachers import save_tiny_teacher

SMALL = ["--size", "48", "64", "--window", "4"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("sources")
    return {
        "2.1": save_meta_21(base / "vjepa2_1_vitb_dist_vitG_384.pt"),
        "pictures": save_tiny_teacher("dinov3", base / "dinov3"),
    }


@pytest.mark.parametrize("source", ["2.1", "pictures"])
@pytest.mark.parametrize("name", ["positional", "pca", "match", "frames"])
def test_analyze(
    sources: dict[str, Path],
    source: str,
    name: str,
    run_cli: Callable,
    clip: Path,
    tmp_path: Path,
) -> None:
    options = {
        "positional": [],
        "pca": [clip],
        "match": [clip, "--points", "3,20,20", "--stop", "8"],
        "frames": [clip, "--stop", "12"],
    }[name]
    out = tmp_path / "out"
    what = ["--backbone", sources[source], *SMALL, "--clips", "4", "--out", out]
    result = run_cli("analyze", name, *options, *what)
    assert result.code == 0, result.err
    assert (out / "report.html").is_file()
    if name == "pca":
        numbers = json.loads((out / "pca.json").read_text())["pca"][0]["explained"]
        # The encoder of pictures cannot be shown some tokens of a picture alone.
        assert ("raw, encoded alone" in numbers) == (source == "2.1")


def test_matching(
    sources: dict[str, Path], run_cli: Callable, benchmark_file: Path, tmp_path: Path
) -> None:
    """Side by side, each in its own frame mode."""
    what = ["--backbones", *sources.values(), *SMALL, "--template-clips", "2", "--threads", "1"]
    out = tmp_path / "table.csv"
    outcome = run_cli("matching", "--tapvid", benchmark_file, *what, "--out", out)
    assert outcome.code == 0, outcome.err
    with out.open(newline="") as file:
        assert [row[1] for row in csv.reader(file)][1:] == [str(p) for p in sources.values()]


def test_a_template_of_frames_as_images(
    sources: dict[str, Path], run_cli: Callable, tmp_path: Path
) -> None:
    template = tmp_path / "t.safetensors"
    options = ["--backbone", sources["2.1"], "--layers", "6", "12", *SMALL, "--clips", "2"]
    fitted = run_cli("fit-template", *options, "--frame-mode", "image", "--out", template)
    assert fitted.code == 0, fitted.err
    analyzed = run_cli(
        "analyze", "positional", "--backbone", sources["2.1"], "--template", template,
        "--clips", "4", "--out", tmp_path / "out",
    )  # fmt: skip
    assert analyzed.code == 0, analyzed.err
