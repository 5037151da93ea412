"""The manifest names what is there, and napari finds it."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

pytest.importorskip("npe2", reason="needs the extra napari")

from npe2 import PluginManifest

ROOT = Path(__file__).resolve().parents[2]


def test_the_manifest_names_what_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ((name, value),) = project["entry-points"]["napari.manifest"].items()
    assert name == project["name"]
    module, _, file = value.partition(":")
    path = ROOT / module.replace(".", "/") / file
    manifest = PluginManifest.from_file(path)
    assert manifest.name == project["name"]
    manifest.validate_imports()
    for command in manifest.contributions.commands or []:
        assert EntryPoint("", str(command.python_name), "").load()
