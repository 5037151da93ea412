"""What the documents name exists: files, links, commands, experiments, pages of the reference."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CARD = ROOT / "tracker" / "assets" / "mini" / "README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", CARD, *DOCS]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]

FOLDERS = "benchmarks|configs|data_prep|docs|tests|tracker"
PATHS = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*|(?<![\w./-])\w+\.(?:py|toml|txt)\b")
LINKS = re.compile(r"\]\(([^)#:\s]+)(?:#[\w-]+)?\)")
MODULES = re.compile(r"python -m ((?:data_prep|tracker)(?:\.\w+)+)")
COMMANDS = re.compile(r"vjepa-tracker ([a-z][a-z-]*)")
EXPERIMENTS = re.compile(r"\+experiment=([\w/]+)")
CHOICES = re.compile(r"(?<![\w.@+])(backbone|benchmark|data)=([a-z]\w*)")


def found(pattern: re.Pattern[str]) -> Iterator[tuple[Path, str]]:
    for document in DOCUMENTS:
        for match in pattern.finditer(document.read_text()):
            yield document, match[match.lastindex or 0]


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_paths_exist(document: Path) -> None:
    named = {match[0].rstrip(".") for match in PATHS.finditer(document.read_text())}
    assert not {path for path in named if not (ROOT / path).exists()}


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_resolve(document: Path) -> None:
    links = {match[1] for match in LINKS.finditer(document.read_text())}
    assert not {link for link in links if not (document.parent / link).exists()}


def test_modules_that_are_run_exist() -> None:
    for document, module in found(MODULES):
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), f"{document}: {module}"


def test_experiments_and_choices_exist() -> None:
    for document, name in found(EXPERIMENTS):
        assert (ROOT / "configs" / "experiment" / f"{name}.yaml").is_file(), f"{document}: {name}"
    for document in DOCUMENTS:
        for group, name in CHOICES.findall(document.read_text()):
            assert (ROOT / "configs" / group / f"{name}.yaml").is_file(), f"{document}: {name}"


def test_commands_exist(run_cli: Callable) -> None:
    known = set(re.findall(r"[a-z][a-z-]+", run_cli("--help").out))
    named = dict(sorted((name, document) for document, name in found(COMMANDS)))
    assert {"track", "demo", "evaluate", "train"} <= named.keys()
    assert not {name: document for name, document in named.items() if name not in known}


def test_every_package_has_a_page_of_the_reference() -> None:
    packages = {path.parent.name for path in (ROOT / "tracker").glob("*/__init__.py")}
    pages = {path.stem for path in (ROOT / "docs" / "reference").glob("*.md")}
    assert pages == packages | {"index"}
    modules = {path.stem for path in (ROOT / "tracker").glob("[!_]*.py")}
    index = (ROOT / "docs" / "reference" / "index.md").read_text()
    assert set(re.findall(r"^::: tracker\.(\w+)$", index, re.MULTILINE)) == modules
