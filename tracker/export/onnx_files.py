"""A folder of ONNX files, and of what a loop around them has to know.

The files: `describe.onnx`, `take.onnx`, `match.onnx` and, where the head refines, `follow.onnx`;
`tracker.json`; and the same steps as `.pt2` of torch.export where they are asked for.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import tracker as package
from tracker.errors import UserError
from tracker.export.parts import level_grids, level_names
from tracker.export.programs import Step, export_program, least_frames, tracking_steps
from tracker.extras import needs
from tracker.files import results_folder
from tracker.flow import chains
from tracker.flow.fields import LONGEST_SIDE
from tracker.progress import nested_bar
from tracker.tracking.model import TrackingModel

if TYPE_CHECKING:
    from torch.export import ExportedProgram

OPSET = 18
"""Of ONNX: the first that resizes pictures without aliasing."""

FACTS = "tracker.json"

POINTS_AT_ONCE = 32
"""Points that a loop had better follow at once on a CPU, whose caches they should fit."""


def check_folder(folder: str | Path) -> Path:
    """Check, before anything is loaded, that a tracker could be written.

    Raises:
        UserError: the extra `onnx` is missing, or the folder holds files already.
    """
    with needs("onnx"):
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401

    target = Path(folder)
    if target.is_dir() and any(target.iterdir()):
        raise UserError(f"{target} is not empty; name another folder")
    return target


def write_onnx(tracker: TrackingModel, folder: Path, pt2: bool = False) -> list[Path]:
    """Write a tracker's steps into a folder, all of them or nothing.

    Args:
        tracker: in eval mode, on the CPU.
        folder: made where it is missing.
        pt2: whether to write the programs of torch.export, too.

    Returns:
        The files.

    Raises:
        UserError: the folder cannot be written, or the tracker has settings that graphs do not
            have.
    """
    steps = tracking_steps(tracker)
    with (
        results_folder(folder),
        writing_to(folder),
        TemporaryDirectory(prefix=".part-", dir=folder) as partial,
    ):
        _write_all(tracker, steps, Path(partial), pt2)
        # The facts come last: a folder that holds them is complete.
        files = sorted(Path(partial).iterdir(), key=lambda file: (file.name == FACTS, file))
        return [file.replace(folder / file.name) for file in files]


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Tell in one line where the operating system refuses to write."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write to {folder} ({error.strerror or error}); free some disk space or name "
            "another folder"
        ) from error


def _write_all(tracker: TrackingModel, steps: list[Step], folder: Path, pt2: bool) -> None:
    graphs: dict[str, Any] = {}
    for step in nested_bar(steps, "exporting", "steps"):
        with _quietly():
            program = export_program(step, least_frames(tracker))
            graphs[step.name] = write_graph(step, program, folder / f"{step.name}.onnx")
            if pt2:
                program.example_inputs = None  # they would be saved, too
                torch.export.save(program, folder / f"{step.name}.pt2")
    facts = _facts(tracker) | {"graphs": graphs}
    (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n")


def write_graph(step: Step, program: ExportedProgram, path: Path) -> dict[str, Any]:
    """Write one file.

    Args:
        step: what the program was traced from.
        program: of `export_program`.
        path: of the file.

    Returns:
        Its inputs with their types and shapes, and the names of its outputs, as JSON has them.
    """
    from onnxscript import optimizer

    pool = torch.ops.aten.adaptive_max_pool2d.default
    graph = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=OPSET,
        input_names=[argument.name for argument in step.inputs],
        output_names=step.outputs,
        custom_translation_table={pool: _pool_by_cells},
        optimize=False,
        verbose=False,
    )
    assert graph is not None  # it is only where a file was named
    # The exporter's own `optimize` rewrites patterns too, and leaves nodes that lack an input.
    optimizer.fold_constants(graph.model)
    optimizer.remove_unused_nodes(graph.model)
    graph.save(str(path))
    return {
        "inputs": {
            one.name: {
                "type": str(one.example.dtype).removeprefix("torch."),
                "shape": [
                    name or length for name, length in zip(one.axes, one.example.shape, strict=True)
                ],
            }
            for one in step.inputs
        },
        "outputs": step.outputs,
    }


def _facts(tracker: TrackingModel) -> dict[str, Any]:
    """Return what a loop has to know, as JSON has it."""
    config = tracker.config
    height, width = config.fine_size
    backbone = tracker.backbone
    steps = config.inference.iterations
    return {
        "version": package.__version__,
        "fingerprint": tracker.fingerprint,
        "opset": OPSET,
        "fine_size": [height, width],
        "levels": {
            name: {"grid": [h, w], "stride": [height / h, width / w]}
            for name, (h, w) in zip(level_names(tracker), level_grids(tracker), strict=True)
        },
        "backbone": backbone
        and {
            "patch": backbone.patch,
            "layers": list(backbone.config.layers),
            "input_size": list(backbone.config.input_size),
            "window": backbone.config.window,
            "frame_mode": backbone.config.frame_mode,
            **tracker.fingerprints.to_dict(),
        },
        "steps": steps if config.head.iterations and steps is not None else config.head.iterations,
        "points_at_once": POINTS_AT_ONCE,
        "start_certainty": config.head.start_certainty,
        "shown_from": config.inference.shown_from,
        "flow": {
            "longest_side": LONGEST_SIDE,
            "jumps": list(chains.JUMPS),
            "max_round_trip": chains.MAX_ROUND_TRIP,
            "agreement": chains.AGREEMENT,
            "bridge_round_trip": chains.BRIDGE_ROUND_TRIP,
            "drift": chains.DRIFT,
            "link_error": chains.LINK_ERROR,
        }
        if config.head.reads_flow
        else None,
    }


def _pool_by_cells(maps: Any, grid: Sequence[int]) -> tuple[Any, Any]:
    """Pool `(M, C, H, W)` to another grid, which ONNX has no operation for.

    Returns:
        Maxima; and, for the indices, which nobody reads, the same again.
    """
    from onnx import numpy_helper
    from onnxscript import opset18

    op: Any = opset18  # its stubs take an operation's result for no input of another
    _, _, *lengths = maps.shape  # what operations return does not know its own
    for axis, length, cells in zip((2, 3), lengths, grid, strict=True):
        edges = [(i * length // cells, -(-(i + 1) * length // cells)) for i in range(cells)]
        longest = max(stop - start for start, stop in edges)
        # Shorter cells have their last row twice, which changes no maximum.
        rows = [[min(start + k, stop - 1) for k in range(longest)] for start, stop in edges]
        maps = op.Gather(
            maps, op.Constant(value=numpy_helper.from_array(np.array(rows))), axis=axis
        )
        maps = op.ReduceMax(maps, op.Constant(value_ints=[axis + 1]), keepdims=0)
    return maps, maps


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep what PyTorch's exporter tells its developers off the screen."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
