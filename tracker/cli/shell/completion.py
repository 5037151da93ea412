"""`vjepa-tracker completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence

from tracker.cli.shell.words import Command, find_commands
from tracker.errors import exit_on_user_error

PROGRAM = "vjepa-tracker"

DESCRIPTION = """\
Print a script by which a shell completes commands, options and their values.
"""

EXAMPLES = """\
examples:
  vjepa-tracker completion bash >> ~/.bashrc
  vjepa-tracker completion zsh >> ~/.zshrc
  vjepa-tracker completion fish > ~/.config/fish/completions/vjepa-tracker.fish
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker completion",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SCRIPTS, help="whose script to print")
    return parser


def bash_script(commands: Sequence[Command]) -> str:
    """Return a function for bash; where it knows no words, bash completes files."""
    top = " ".join(command.name for command in commands if " " not in command.name)
    parts = [shlex.quote(command.name) for command in commands if " " in command.name]
    lines = [
        "_vjepa_tracker() {",
        '    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"',
        '    local command="${COMP_WORDS[1]}" words=""',
        '    if [ "$COMP_CWORD" -gt 2 ]; then',
        '        case "$command ${COMP_WORDS[2]}" in',
        f'            {"|".join(parts)}) command="$command ${{COMP_WORDS[2]}}" ;;',
        "        esac",
        "    fi",
        '    if [ "$COMP_CWORD" -eq 1 ]; then',
        f'        words="{top}"',
        '    else case "$command:$before" in',
    ]
    for command in commands:
        for option in command.options:
            if option.takes_value:
                cases = "|".join(shlex.quote(f"{command.name}:{name}") for name in option.names)
                lines.append(f"        {cases}) words={shlex.quote(' '.join(option.choices))} ;;")
    lines.append('        *) case "$command:$word" in')
    for command in commands:
        options = " ".join(name for option in command.options for name in option.names)
        name = shlex.quote(f"{command.name}:")
        lines.append(f"            {name}-*) words={shlex.quote(options)} ;;")
        if command.words:
            lines.append(f"            {name}*) words={shlex.quote(' '.join(command.words))} ;;")
    lines += [
        "        esac ;;",
        "    esac",
        "    fi",
        '    COMPREPLY=($(compgen -W "$words" -- "$word"))',
        '    case "${COMPREPLY[0]}" in *=) compopt -o nospace 2>/dev/null ;; esac',
        "}",
        f"complete -o default -F _vjepa_tracker {PROGRAM}",
    ]
    return "\n".join(lines)


def zsh_script(commands: Sequence[Command]) -> str:
    """Return the function for bash, which zsh knows how to run."""
    start = "autoload -Uz compinit bashcompinit && compinit && bashcompinit"
    return f"{start}\n{bash_script(commands)}"


def fish_script(commands: Sequence[Command]) -> str:
    """Return a line of fish for each command, option and word."""
    lines = []
    for command in commands:
        seen = [f"__fish_seen_subcommand_from {word}" for word in command.name.split()]
        if " " not in command.name:
            words = ["__fish_use_subcommand", "-f", "-a", command.name, "-d", command.summary]
            lines.append(_fish_line(words))
        for option in command.options:
            names = [part for name in option.names for part in _fish_name(name)]
            values = ["-x", "-a", " ".join(option.choices)] if option.choices else ["-r"]
            value = values if option.takes_value else []
            lines.append(_fish_line(["; and ".join(seen), *names, *value, "-d", option.summary]))
        if command.words:
            lines.append(_fish_line(["; and ".join(seen), "-a", " ".join(command.words)]))
    return "\n".join(lines)


def _fish_name(name: str) -> list[str]:
    return ["-l", name[2:]] if name.startswith("--") else ["-s", name[1:]]


def _fish_line(words: Sequence[str]) -> str:
    quoted = ("'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'" for word in words)
    return f"complete -c {PROGRAM} -n " + " ".join(quoted)


SCRIPTS = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Print the script that `argv` asks for; return the exit code."""
    args = build_parser().parse_args(argv)
    print(f"# Completions of {PROGRAM}; written by `{PROGRAM} completion {args.shell}`.")
    print(SCRIPTS[args.shell](find_commands()))
    return 0
