"""The steps as programs of torch.export, with frames, points and the size of frames left open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tracker.errors import UserError
from tracker.export.parts import (
    DescribeFrames,
    FollowOnce,
    MatchQueries,
    TakeQueries,
    level_grids,
    level_names,
)
from tracker.tracking.model import TrackingModel

if TYPE_CHECKING:
    from torch.export import ExportedProgram

POINTS = 5
"""Of the examples that programs are traced with; any number will do."""


@dataclass(frozen=True)
class Argument:
    """One tensor that goes into a step.

    Attributes:
        name: of the tensor; what a step before gives goes by the same one.
        example: to trace with.
        axes: for each dimension `frames`, `points`, `height` or `width` where its length is open;
            None where it is fixed.
    """

    name: str
    example: Tensor
    axes: tuple[str | None, ...]


@dataclass(frozen=True)
class Step:
    """One step, and what goes in and comes out.

    Attributes:
        name: `describe`, `take`, `match` or `follow`.
        module: of plain tensors.
        arguments: of `module`, in order, in lists where it takes lists.
        outputs: names of what it returns.
    """

    name: str
    module: nn.Module
    arguments: tuple[Argument | list[Argument], ...]
    outputs: list[str]

    @property
    def inputs(self) -> list[Argument]:
        """All arguments, one after another."""
        nested = [arg if isinstance(arg, list) else [arg] for arg in self.arguments]
        return [argument for part in nested for argument in part]

    def example(self) -> tuple[Any, ...]:
        """Return what `module` may be called with."""
        return tuple(
            [one.example for one in arg] if isinstance(arg, list) else arg.example
            for arg in self.arguments
        )


def tracking_steps(tracker: TrackingModel) -> list[Step]:
    """Return the steps of a tracker, in the order in which they are run.

    Args:
        tracker: in eval mode, on the CPU.

    Raises:
        UserError: its backbone runs in another precision than float32.
    """
    config = tracker.config
    if config.backbone.dtype not in ("auto", "float32"):
        raise UserError(
            f"backbone.dtype={config.backbone.dtype}: graphs are written in float32; "
            "add --set backbone.dtype=float32"
        )
    names, frames = level_names(tracker), least_frames(tracker) + 2
    pictures = Argument(
        "frames",
        torch.zeros((frames, 40, 56, 3), dtype=torch.uint8),
        ("frames", "height", "width", None),
    )
    describe = Step("describe", DescribeFrames(tracker), (pictures,), names)
    tables = [
        Argument(name, torch.rand(frames, *grid, channels), ("frames", None, None, None))
        for name, grid, channels in zip(
            names, level_grids(tracker), _channels(tracker), strict=True
        )
    ]
    xy = Argument("query_xy", 30 * torch.rand(POINTS, 2), ("points", None))
    frame = Argument("query_frame", torch.arange(POINTS) % frames, ("points",))
    of_patches = [f"{name}_patch" for name in names]
    take = Step("take", TakeQueries(tracker), (tables, xy, frame), of_patches)
    cells = (2 * config.head.query_radius + 1) ** 2
    patches = [
        Argument(name, torch.rand(POINTS, cells, channels), ("points", None, None))
        for name, channels in zip(of_patches, _channels(tracker), strict=True)
    ]
    found = ["match_xy", "match_logits", "match_seen"][: 3 if config.head.iterations else 2]
    match = Step("match", MatchQueries(tracker), (tables, patches), found)
    if not config.head.iterations:
        return [describe, take, match]
    of_track = {"points": POINTS, "frames": frames}
    width = len(names) * config.head.correlation_channels
    flow = [_of_track("flow_xy", 2, **of_track), _of_track("flow_certainty", **of_track)]
    follow = Step(
        "follow",
        FollowOnce(tracker),
        (
            tables,
            patches,
            [_of_track(n, s, **of_track) for n, s in zip(found, (2, 2, width), strict=True)],
            flow if config.head.use_flow else [],
            _of_track("xy", 2, **of_track),
            _of_track("logits", 2, **of_track),
            Argument(
                "time_to_query",
                torch.arange(frames)[None] - torch.arange(POINTS)[:, None],
                ("points", "frames"),
            ),
        ),
        ["new_xy", "new_logits"],
    )
    return [describe, take, match, follow]


def export_program(step: Step, least: int) -> ExportedProgram:
    """Trace a step.

    Args:
        step: of a tracker.
        least: frames that it is to take at least.
    """
    from torch.export import Dim, export

    dims = {
        "frames": Dim("frames", min=least),
        "points": Dim("points", min=1),
        "height": Dim("height", min=2),
        "width": Dim("width", min=2),
    }

    def open_axes(argument: Argument) -> dict[int, Any]:
        return {axis: dims[name] for axis, name in enumerate(argument.axes) if name}

    shapes = tuple(
        [open_axes(one) for one in arg] if isinstance(arg, list) else open_axes(arg)
        for arg in step.arguments
    )
    # With gradients off the coarse match goes frame by frame, as many as there are in the example.
    # The encoder turns them off itself, which must not be traced.
    with torch.set_grad_enabled(step.name != "describe"):
        return export(
            step.module.eval(),
            step.example(),
            dynamic_shapes=shapes,
            prefer_deferred_runtime_asserts_over_guards=True,
        )


def least_frames(tracker: TrackingModel) -> int:
    """Return how many frames a program of torch.export asks for at least.

    More than a window, since tracing takes a number of windows that may be 1 for always 1.
    """
    return 2 if tracker.backbone is None else tracker.backbone.config.window + 1


def _channels(tracker: TrackingModel) -> list[int]:
    config = tracker.config.head
    names = level_names(tracker)
    return [config.content_channels if n == "content" else config.stem_channels for n in names]


def _of_track(name: str, *widths: int, points: int, frames: int) -> Argument:
    axes = ("points", "frames", *(None for _ in widths))
    return Argument(name, torch.rand(points, frames, *widths), axes)
