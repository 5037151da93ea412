"""Imports inside the package point one way, and never in a circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tracker

PACKAGE = Path(tracker.__file__).parent
LEVELS = [
    ("errors",),
    ("extras", "files", "devices", "memory", "progress", "settings"),
    ("video",),
    ("points",),
    ("formats",),
    ("registry", "scenes", "features", "flow"),
    ("baselines", "datasets", "head"),
    ("tracking",),
    ("analysis", "evaluation", "export"),
    ("prompting",),
    ("training",),
    ("pretraining",),
    ("bulk", "web", "napari"),
    ("cli",),
]
"""From the ground up: a package may import those of lower levels, and of its own."""

RANK = {name: rank for rank, names in enumerate(LEVELS) for name in names}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(path: Path) -> set[str]:
    """Return the package's modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= names or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & MODULES.keys() - {"tracker"}


IMPORTS = {name: imports_of(path) for name, path in MODULES.items() if name != "tracker"}


def rank(module: str) -> int:
    return RANK[module.split(".")[1]]


@pytest.mark.parametrize("module", IMPORTS)
def test_imports_point_downwards(module: str) -> None:
    upward = {other for other in IMPORTS[module] if rank(other) > rank(module)}
    assert not upward


def test_no_circles() -> None:
    finished: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in finished:
            for other in sorted(IMPORTS[module]):
                visit(other, (*path, module))
            finished.add(module)

    for module in IMPORTS:
        visit(module, ())


def test_every_package_has_a_level() -> None:
    assert {name.split(".")[1] for name in IMPORTS} == RANK.keys()


def test_files_and_folders_are_small() -> None:
    long = {name for name, path in MODULES.items() if len(path.read_text().splitlines()) > 400}
    assert not long
    folders = [PACKAGE, *(p for p in PACKAGE.rglob("*") if p.is_dir() and any(p.glob("*.py")))]
    assert not [folder for folder in folders if len(list(folder.glob("*.py"))) > 14]
