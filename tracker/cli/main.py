"""The command line: `vjepa-tracker COMMAND ...`.

Each command is a module with a `main(argv)`, imported when it is called: help and `lk` do not wait
for torch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

import tracker
from tracker.errors import exit_on_user_error

COMMANDS = {
    "track": ("track", "follow points through a video"),
    "track-many": ("track_many", "follow points through folders full of videos, on many workers"),
    "ui": ("interactive.ui", "click on points, follow and correct them, on a page in the browser"),
    "convert": ("results.convert", "write tracks as files of other programs"),
    "demo": ("demo", "track a real clip, and a rendered one with known truth and a score"),
    "evaluate": ("evaluate", "score trackers on a TAP-Vid benchmark or on rendered scenes"),
    "train": ("train", "train the tracker's head on clips with true tracks"),
    "render": ("bulk.render", "make clips for training ahead of time"),
    "pretrain": ("pretrain", "pretrain a V-JEPA 2 backbone"),
    "fit-template": ("fit_template", "fit a positional template for a backbone"),
    "convert-backbone": ("backbones.convert", "turn a checkpoint of Meta's into safetensors"),
    "export": ("export", "write a trained tracker with other settings"),
    "export-onnx": ("exporting.onnx", "write a tracker for programs without PyTorch"),
    "probe": ("probe", "what frozen features know about motion"),
    "analyze": ("analyze", "look at frozen features: position, components, matches, key frames"),
    "matching": ("matching", "how well frozen features find points"),
    "compare": ("backbones.compare", "compare encoders side by side, in one page"),
    "plot": ("results.plot", "draw the curves of a training run"),
    "table": ("results.table", "fill a document's results table from evaluations"),
    "completion": ("shell.completion", "print completions for bash, zsh or fish"),
}
"""Each command's module in this package, and what it does."""

DESCRIPTION = "Follow any point through any video, on frozen V-JEPA 2 features."


class _Version(argparse.Action):
    """Prints the version, which is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"vjepa-tracker {tracker.__version__}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of a command's name; the rest is the command's own."""
    width = max(map(len, COMMANDS)) + 2
    summaries = [f"  {name:<{width}}{summary}" for name, (_, summary) in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker",
        description=DESCRIPTION,
        epilog="\n".join(["commands:", *summaries, "", "vjepa-tracker COMMAND --help tells more."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help="one of those below")
    parser.add_argument(
        "arguments", metavar="...", nargs=argparse.REMAINDER, help="what the command takes"
    )
    return parser


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `vjepa-tracker`; returns the exit code."""
    args = build_parser().parse_args(sys.argv[1:] if argv is None else argv)
    module, _ = COMMANDS[args.command]
    return import_module(f"tracker.cli.{module}").main(args.arguments)
