"""Draw the curves of a training run.

vjepa-tracker plot runs/mini_refine --out curve.png
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tracker.errors import UserError, exit_on_user_error
from tracker.extras import needs
from tracker.files import atomic_path, prepare_output_dir

SMOOTHED_OVER = 50
SCORES = ("average_jaccard", "average_pts_within_thresh", "occlusion_accuracy")


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Read a CSV of numbers as columns by name.

    Raises:
        UserError: missing, empty or malformed.
    """
    try:
        with path.open(newline="") as file:
            header, *rows = list(csv.reader(file))
        table = np.array([[float(cell) for cell in row] for row in rows if row])
        return dict(zip(header, table.T, strict=True))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not the record of a training run ({error})") from error


def smooth(values: np.ndarray, width: int = SMOOTHED_OVER) -> np.ndarray:
    """Running mean over the last `width` values."""
    total = np.cumsum(np.insert(values, 0, 0.0))
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(0, stop - width)
    return (total[stop] - total[start]) / (stop - start)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker plot",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="DIR", help="run_dir of a training run")
    parser.add_argument("--out", required=True, metavar="PNG", help="picture to write")
    return parser


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Draw the run that the options in `argv` name; return the exit code."""
    args = build_parser().parse_args(argv)
    with needs("analysis"):
        import matplotlib

    matplotlib.use("Agg")
    losses = read_columns(Path(args.run) / "history.csv")
    scores = read_columns(Path(args.run) / "validation.csv")
    out = Path(args.out)
    prepare_output_dir(out.parent)
    draw(losses, scores, out)
    print(f"written: {out}")
    return 0


def draw(losses: dict[str, np.ndarray], scores: dict[str, np.ndarray], out: Path) -> None:
    """Write losses beside validation scores as a PNG."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for name in losses:
        if name not in ("step", "learning_rate"):
            left.plot(losses["step"], smooth(losses[name]), label=name)
    left.set(title=f"training loss (mean of {SMOOTHED_OVER})", xlabel="step", yscale="log")
    known = [name for name in SCORES if name in scores] or [n for n in scores if n != "step"][:6]
    for name in known:
        right.plot(scores["step"], 100 * scores[name], marker="o", markersize=3, label=name)
    right.set(title="held-out scenes, %", xlabel="step", ylim=(0, 100))
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    with atomic_path(out) as partial:
        figure.savefig(partial, dpi=110)
    plt.close(figure)
