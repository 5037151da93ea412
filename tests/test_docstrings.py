"""Docstrings name what is there, one name a line; the site cannot be built otherwise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted([*(ROOT / "tracker").rglob("*.py"), *(ROOT / "data_prep").glob("*.py")])

Documented = ast.FunctionDef | ast.ClassDef


def entries(docstring: str, section: str) -> list[str]:
    """Return what stands before the colon in each entry of a section."""
    names: list[str] = []
    inside = False
    for line in docstring.splitlines():
        if line and not line.startswith(" "):
            inside = line == f"{section}:"
        elif inside and re.match(r" {4}\S", line):
            names.append(line.strip().split(":")[0])
    return names


def parameters(function: ast.FunctionDef) -> set[str]:
    given = function.args
    star = {f"*{given.vararg.arg}"} if given.vararg else set()
    stars = {f"**{given.kwarg.arg}"} if given.kwarg else set()
    return {arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)} | star | stars


def made_with(node: ast.ClassDef) -> set[str]:
    """Return the parameters of `__init__`, or of a dataclass its fields."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return parameters(statement)
    fields = (s.target for s in node.body if isinstance(s, ast.AnnAssign))
    return {target.id for target in fields if isinstance(target, ast.Name)}


def attributes(node: ast.ClassDef) -> set[str]:
    """Return the fields, the properties, and what methods set on `self`."""
    methods = {s.name for s in node.body if isinstance(s, ast.FunctionDef)}
    stored = (n for n in ast.walk(node) if isinstance(n, ast.Attribute | ast.Name))
    names = {
        n.attr if isinstance(n, ast.Attribute) else n.id
        for n in stored
        if isinstance(n.ctx, ast.Store)
    }
    return methods | names


def faults(node: Documented) -> Iterator[str]:
    docstring = ast.get_docstring(node) or ""
    known = made_with(node) if isinstance(node, ast.ClassDef) else parameters(node)
    for name in entries(docstring, "Args"):
        if name not in known:
            yield f"line {node.lineno}: {node.name}: no parameter {name!r}"
    if isinstance(node, ast.ClassDef):
        for name in entries(docstring, "Attributes"):
            if name not in attributes(node):
                yield f"line {node.lineno}: {node.name}: no attribute {name!r}"


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_docstrings_name_parameters_that_exist_one_a_line(path: Path) -> None:
    nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Documented))
    assert [fault for node in nodes for fault in faults(node)] == []


@pytest.mark.parametrize(
    ("docstring", "fault"),
    [
        ("x: given.", ""),
        ("x: given.\n        y: not.", "no parameter 'y'"),
        ("x, y: given.", "no parameter 'x, y'"),
    ],
)
def test_faults_are_found(docstring: str, fault: str) -> None:
    source = f'def f(x):\n    """Do it.\n\n    Args:\n        {docstring}\n    """\n'
    (function,) = ast.parse(source).body
    found = list(faults(function))
    assert [fault in line for line in found] == ([True] if fault else [])
