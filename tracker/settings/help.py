"""What `--help` prints for a command of many settings: choices, and each setting's meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tracker.settings.schema import TARGET, join

_LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<value>.*?)(?:\s+#\s*(?P<comment>.*))?$")
_COLUMN = 34
"""Where meanings begin, as far as values are short enough."""


def format_help(
    text: str, name: str, command: str, config: DictConfig, choices: Mapping[str, str], root: Path
) -> str:
    """Return the help of a command.

    Args:
        text: what it is for.
        name: of its top-level file, without suffix.
        command: its name.
        config: the composed settings.
        choices: what was chosen of each config group.
        root: the folder of the files, whose comments at the end of lines say what settings mean.
    """
    groups = {key: root / key.split("@")[0] for key in choices if key != "experiment"}
    lines = [f"  {key}={{{','.join(_stems(folder))}}}" for key, folder in groups.items()]
    experiments = ",".join(f"{command}/{stem}" for stem in _stems(root / "experiment" / command))
    if experiments:
        lines.append(f"  +experiment={{{experiments}}}")
    meanings = _meanings(root / f"{name}.yaml", "")
    for key, folder in groups.items():
        package = key.split("@")[-1]
        # The command's own file comes last: it says most.
        meanings = _meanings(folder / f"{choices[key]}.yaml", package) | meanings
    settings = _settings(OmegaConf.to_container(config), meanings)
    title = "Settings (change any with KEY=VALUE):"
    return "\n".join([text.strip(), "", "Choices:", *lines, "", title, *settings])


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _meanings(file: Path, package: str) -> dict[str, str]:
    """Return the comments at the ends of a file's lines, and of those that it builds on."""
    found: dict[str, str] = {}
    text, content = file.read_text(), OmegaConf.load(file)
    for base in content.get("defaults", []) if isinstance(content, DictConfig) else ():
        if package and isinstance(base, str) and base != "_self_":
            found |= _meanings(file.with_name(f"{base}.yaml"), package)
    parents: list[tuple[int, str]] = [(-1, package)]
    for line in text.splitlines():
        if match := _LINE.match(line):
            indent = len(match["indent"])
            while parents[-1][0] >= indent:
                parents.pop()
            path = join(parents[-1][1], match["key"])
            parents.append((indent, path))
            if match["comment"]:
                found[path] = match["comment"]
    return found


def _settings(node: Any, meanings: Mapping[str, str], path: str = "") -> Iterator[str]:
    indent = "  " * (path.count(".") + 1 if path else 0)
    for key, value in node.items():
        name = join(path, key)
        nested = isinstance(value, dict) and value
        short = "" if nested else " " + _in_yaml(value)
        if key != TARGET:
            line = f"{indent}{key}:{short}"
            meaning = meanings.get(name)
            yield f"{line:<{_COLUMN}}  # {meaning}" if meaning else line
        if nested:
            yield from _settings(value, meanings, name)


def _in_yaml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_in_yaml, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)
