"""What may be typed after `vjepa-tracker`, as the parsers of its commands know it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import chain

from tracker.cli.main import COMMANDS
from tracker.cli.options.outputs import KINDS
from tracker.formats.registry import FORMATS
from tracker.settings.composing import COMMANDS as SETTINGS
from tracker.settings.composing import compose

LISTED = {"FORMAT,...": (*FORMATS,), "KIND,...": (*KINDS, *FORMATS)}
"""What may stand in lists, by how help shows them."""


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        names: such as `--out`.
        summary: one line of what it does.
        takes_value: whether a value follows.
        choices: the values that it may have; empty where they are not known.
    """

    names: tuple[str, ...]
    summary: str
    takes_value: bool
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """A command, or one of the parts that a command has.

    Attributes:
        name: such as `track` or `analyze pca`.
        summary: one line of what it does.
        options: that it takes.
        words: that may follow it: its parts, values of its first argument, or settings `KEY=`.
    """

    name: str
    summary: str
    options: tuple[Option, ...]
    words: tuple[str, ...]


def find_commands() -> list[Command]:
    """Return all commands, each followed by its parts."""
    return [command for name in COMMANDS for command in _commands_of(name)]


def _commands_of(name: str) -> Iterator[Command]:
    module, summary = COMMANDS[name]
    files = {command: file for file, command in SETTINGS.items()}
    if name in files:
        words = tuple(f"{key}=" for key in map(str, compose(files[name], [], None)))
        yield Command(name, summary, (Option(("--help",), "tell more", False, ()),), words)
    else:
        parser = import_module(f"tracker.cli.{module}").build_parser()
        yield from _commands_of_parser(name, summary, parser)


def _commands_of_parser(
    name: str, summary: str, parser: argparse.ArgumentParser
) -> Iterator[Command]:
    parts = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    words = [_choices(action) for action in parser._actions if not action.option_strings]
    yield Command(name, summary, tuple(_options(parser)), tuple(chain.from_iterable(words)))
    for action in parts:
        summaries = {choice.dest: choice.help for choice in action._choices_actions}
        for part, of_part in action.choices.items():
            yield from _commands_of_parser(f"{name} {part}", summaries.get(part) or "", of_part)


def _options(parser: argparse.ArgumentParser) -> Iterator[Option]:
    formatter = parser._get_formatter()
    for action in parser._actions:
        if action.option_strings:
            summary = formatter._expand_help(action) if action.help else ""
            names, takes_value = tuple(action.option_strings), action.nargs != 0
            yield Option(names, summary, takes_value, _choices(action))


def _choices(action: argparse.Action) -> tuple[str, ...]:
    known: Iterable[object] = action.choices or LISTED.get(str(action.metavar), ())
    return tuple(str(choice) for choice in known)
