"""Fill a document's results table from the metrics.json files of evaluations.

  vjepa-tracker table outputs/first outputs/strided                    print it
  vjepa-tracker table outputs/first outputs/strided --into README.md

In the document, whatever stands between `<!-- results -->` and `<!-- /results -->` is replaced.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracker.errors import UserError, exit_on_user_error
from tracker.files import atomic_path

MARKERS = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.DOTALL)
COLUMNS = {
    "AJ": "average_jaccard",
    "delta_avg": "average_pts_within_thresh",
    "OA": "occlusion_accuracy",
    "<1 px": "pts_within_1",
    "<4 px": "pts_within_4",
    "<16 px": "pts_within_16",
}


def read_metrics(folder: str) -> dict[str, Any]:
    """Read the metrics.json of an evaluation.

    Raises:
        UserError: it is not there, damaged, or of a run that did not finish.
    """
    path = Path(folder) / "metrics.json"
    try:
        content = json.loads(path.read_text())
        complete = content["complete"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not the metrics.json of an evaluation ({error})") from error
    if not complete:
        raise UserError(f"{path} is of a run that did not finish; evaluate again")
    return content


def markdown_table(runs: list[dict[str, Any]]) -> str:
    """Return a table in percent, a row for each run and tracker."""
    lines = [
        "| benchmark | queries | input | tracker | " + " | ".join(COLUMNS) + " | s / video |",
        "| --- | --- | --- | --- |" + " ---: |" * (len(COLUMNS) + 1),
    ]
    for run in runs:
        for name, entry in run["trackers"].items():
            scores = [_percent(entry["mean"][metric]) for metric in COLUMNS.values()]
            cells = [run["benchmark"], run["query_mode"], str(run["input_size"]), f"`{name}`"]
            seconds = f"{entry['seconds_per_video']:.2f}"
            lines.append("| " + " | ".join([*cells, *scores, seconds]) + " |")
    return "\n".join(lines) + "\n"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", metavar="DIR", help="output_dir of evaluations")
    parser.add_argument("--into", metavar="FILE", help="a document with the two markers")
    return parser


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Print the table of the evaluations in `argv`, or put it into a document."""
    args = build_parser().parse_args(argv)
    table = markdown_table([read_metrics(folder) for folder in args.folders])
    if args.into is None:
        print(table, end="")
        return 0
    document = Path(args.into)
    text = document.read_text() if document.is_file() else ""
    if not MARKERS.search(text):
        raise UserError(f"{document} has no <!-- results --> and <!-- /results --> lines")
    with atomic_path(document) as partial:
        partial.write_text(MARKERS.sub(lambda match: match[1] + table + match[2], text))
    print(f"written: {document}")
    return 0
