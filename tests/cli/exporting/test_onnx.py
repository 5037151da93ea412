"""`vjepa-tracker export-onnx` refuses in one line; what it writes is tested in tests/export."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("onnxscript")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "backbone.dtype=bfloat16"], "float32"),
        (["--set", "backbone.dtyp=float32"], "dtyp"),
        (["--tracker", "no_such"], "no_such"),
        (["--template", "none.safetensors"], "none.safetensors"),
    ],
)
def test_what_cannot_be_exported(
    options: list[str], words: str, run_cli: Callable, refused: Callable, tmp_path: Path
) -> None:
    refused(run_cli("export-onnx", tmp_path / "out", *options), words)
    assert not (tmp_path / "out").exists()


def test_folders_that_cannot_be_written(
    run_cli: Callable, refused: Callable, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    refused(run_cli("export-onnx", tmp_path), "is not empty")
    refused(run_cli("export-onnx", tmp_path / "file"), "cannot write", "file")
    refused(run_cli("export-onnx", tmp_path / "file" / "out"), "cannot write")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_extra_is_missing(
    run_cli: Callable, refused: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    refused(run_cli("export-onnx", tmp_path / "out"), "vjepa-tracker[onnx]")
    assert not (tmp_path / "out").exists()
