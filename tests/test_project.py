"""What pyproject.toml promises fits what is pinned, and what is written beside it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> list[str]:
    extras = PROJECT["optional-dependencies"].values()
    return [line for group in (PROJECT["dependencies"], *extras) for line in group]


def test_everything_is_pinned() -> None:
    names = {normal(re.match(r"[\w.-]+", line)[0]) for line in requirements()}
    assert names - {"vjepa-tracker", "tapnet"} <= {normal(name) for name in PINS}


def test_the_tests_run_with_the_newest_transformers_that_is_admitted() -> None:
    (line,) = (line for line in PROJECT["dependencies"] if line.startswith("transformers"))
    major, minor = map(int, re.search(r"<(\d+)\.(\d+)$", line).groups())
    pinned = [int(part) for part in PINS["transformers"].split(".")[:2]]
    assert pinned == [major, minor - 1]


def test_all_holds_every_extra_of_the_program() -> None:
    extras = PROJECT["optional-dependencies"]
    for_developers = {"all", "dev", "docs", "tapnet", "test"}
    (line,) = extras["all"]
    assert set(re.search(r"\[(.*)\]", line)[1].split(",")) == extras.keys() - for_developers


def test_versions_agree() -> None:
    version = PROJECT["version"]
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
