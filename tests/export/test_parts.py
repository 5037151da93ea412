"""The steps as modules: run one after another they follow points as the tracker does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import TINY_HEAD, tiny_backbone, tiny_tracker

from tracker.errors import UserError
from tracker.export.parts import DescribeFrames, shrink
from tracker.export.programs import tracking_steps
from tracker.features.template_fitter import TemplateFitter
from tracker.head import HeadConfig
from tracker.tracking.tracker import PointTracker
from tracker.video.pixels import resize


def tracker_of(head: HeadConfig = TINY_HEAD, **backbone: object) -> PointTracker:
    tracker = tiny_tracker(head=head)
    tracker.head.bf16 = False  # steps are float32 on every CPU
    if head.use_vjepa:
        tracker.config = replace(
            tracker.config, backbone=replace(tracker.config.backbone, **backbone)
        )
        tracker.backbone = tiny_backbone(**backbone)
        fitter = TemplateFitter(tracker.backbone)
        fitter.update(torch.rand(3, 8, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
        tracker.template = fitter.finish()
    return tracker


MODES = {mode: tracker_of(frame_mode=mode) for mode in ("tubelet", "offset", "duplicate")}


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=4, deadline=None)
@given(count=st.integers(8, 27))
def test_windows_and_slots_are_the_trackers(mode: str, count: int) -> None:
    """Also where the last window overlaps the one before, by an odd number of frames or an even."""
    generator = torch.Generator().manual_seed(count)
    frames = torch.randint(0, 256, (count, 48, 80, 3), dtype=torch.uint8, generator=generator)
    with torch.no_grad():
        found = DescribeFrames(MODES[mode])(frames)
        wanted = MODES[mode].describe(frames.numpy()).levels
    for table, level in zip(found, wanted, strict=True):
        torch.testing.assert_close(table, level.table[0], atol=1e-5, rtol=1e-4)


def test_resizing_is_the_trackers() -> None:
    pictures = torch.rand(2, 3, 30, 50)
    for size in ((16, 16), (30, 50), (64, 48)):
        torch.testing.assert_close(shrink(pictures, size), resize(pictures[None], size)[0])


@pytest.mark.parametrize(
    "changes",
    [{}, {"use_flow": False}, {"use_rgb": False}, {"use_vjepa": False}, {"iterations": 0}],
    ids=str,
)
def test_steps_are_the_heads(changes: dict[str, object]) -> None:
    tracker = tracker_of(replace(TINY_HEAD, **changes))
    steps = {step.name: step for step in tracking_steps(tracker)}
    assert (
        list(steps)
        == ["describe", "take", "match", "follow"][: 3 if changes.get("iterations") == 0 else 4]
    )
    frames = torch.randint(0, 256, (10, 64, 64, 3), dtype=torch.uint8)
    points = torch.tensor([[5.0, 60.0], [31.5, 20.0], [64.0, 64.0]])
    known: dict[str, torch.Tensor] = {
        "frames": frames,
        "query_xy": points,
        "query_frame": torch.tensor([0, 3, 9]),
        "flow_xy": torch.zeros(3, 10, 2),
        "flow_certainty": torch.zeros(3, 10),
    }
    known["time_to_query"] = torch.arange(10)[None] - known["query_frame"][:, None]

    def run(name: str) -> None:
        arguments = [
            [known[one.name] for one in arg] if isinstance(arg, list) else known[arg.name]
            for arg in steps[name].arguments
        ]
        known.update(zip(steps[name].outputs, steps[name].module(*arguments), strict=True))

    with torch.no_grad():
        for name in ("describe", "take", "match"):
            run(name)
        here = (known["time_to_query"] == 0)[..., None]
        start = points[:, None].expand(-1, 10, -1)
        xy, known["logits"] = known["match_xy"], known["match_logits"]
        for _ in range(tracker.config.head.iterations):
            known["xy"] = torch.where(here, start, xy)
            run("follow")
            xy, known["logits"] = known["new_xy"], known["new_logits"]
        features = tracker.describe(frames.numpy())
        queries = tracker.head.take_queries(features, points[None], known["query_frame"][None])
        wanted = tracker.head.follow(features, queries, known["time_to_query"][None])
    torch.testing.assert_close(torch.where(here, start, xy), wanted.xy[-1][0], atol=1e-3, rtol=0)
    torch.testing.assert_close(
        known["logits"], wanted.visibility_logits[-1][0], atol=1e-3, rtol=1e-3
    )


def test_other_precisions_are_refused() -> None:
    tracker = tiny_tracker()
    settings_of = replace(tracker.config.backbone, dtype="bfloat16")
    tracker.config = replace(tracker.config, backbone=settings_of)
    with pytest.raises(UserError, match=r"bfloat16: graphs are written in float32; add --set"):
        tracking_steps(tracker)
