"""What a command tells, and to whom: people, or the script that called it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any, TextIO

from tracker.progress import no_bars


def add_reporting_options(command: argparse.ArgumentParser) -> None:
    """Add the options that `reporting` reads."""
    command.add_argument(
        "--quiet", action="store_true", help="print errors and warnings alone, no progress"
    )
    command.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object for scripts on stdout, and all else on stderr",
    )


@contextmanager
def reporting(args: argparse.Namespace) -> Iterator[TextIO]:
    """Lead what is printed where the options want it.

    Yields:
        stdout, for `write_json`.
    """
    stdout = sys.stdout
    with ExitStack() as stack:
        if args.quiet:
            nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(no_bars())
        elif args.json:
            stack.enter_context(redirect_stdout(sys.stderr))
        yield stdout


def write_json(document: dict[str, Any], stream: TextIO) -> None:
    """Write a document for scripts."""
    json.dump(document, stream, indent=2, ensure_ascii=False)
    stream.write("\n")
