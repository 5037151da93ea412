"""Clips as the head is trained on them: where their queries lie, and what flow says of them."""

from __future__ import annotations

import pytest
import torch

from tracker.errors import UserError
from tracker.points.geometry import inside_frame
from tracker.training.batches import (
    FlowConfig,
    ProceduralTracks,
    TrackedBatches,
    choose_query_frames,
)


def test_query_frames_are_visible_and_reproducible() -> None:
    visible = torch.rand(2, 50, 7, generator=torch.Generator().manual_seed(0)) > 0.6
    visible[..., 3] |= ~visible.any(-1)
    chosen = [choose_query_frames(visible, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*chosen)
    assert visible.gather(-1, chosen[0][..., None]).all()
    assert len(chosen[0].unique()) > 3
    with pytest.raises(UserError, match="never visible"):
        choose_query_frames(torch.zeros(1, 1, 3, dtype=torch.bool), torch.Generator())


def test_flow_of_a_batch_leads_from_the_queries_and_is_withheld_from_some_points() -> None:
    source = ProceduralTracks(frames=6, size=(64, 64), points=200)
    always = TrackedBatches(source, FlowConfig(without=0.0, sliding=0.0)).batch([0, 1])
    some = TrackedBatches(source, FlowConfig(without=0.5, sliding=0.0)).batch([0, 1])
    index = always.query_frame[..., None]
    at_query = always.flow.certainty.gather(2, index)
    assert (at_query == 1).all()
    error = (always.flow.xy - always.xy).norm(dim=-1)
    followed = (always.flow.certainty > 0) & always.visible
    assert error[followed].median() < 0.5
    without = (some.flow.certainty == 0).all(-1).float().mean()
    assert 0.4 < without < 0.6
    never = TrackedBatches(source, None).batch([0, 1])
    assert torch.equal(never.xy, always.xy) and never.flow is None


def test_sliding_flow_leaves_its_query_alone_and_stays_inside() -> None:
    source = ProceduralTracks(frames=6, size=(64, 64), points=200)
    plain = TrackedBatches(source, FlowConfig(without=0.0, sliding=0.0)).batch([0])
    slid = TrackedBatches(source, FlowConfig(without=0.0, sliding=0.5)).batch([0])
    away = (slid.flow.xy - plain.flow.xy).norm(dim=-1)
    assert (away.gather(2, plain.query_frame[..., None]) == 0).all()
    assert 0.3 < (away.amax(-1) > 0).float().mean() <= 0.6
    inside = inside_frame(slid.flow.xy, (64, 64))
    assert (slid.flow.certainty[~inside] == 0).all()


def test_flow_of_a_finer_scale_is_closer() -> None:
    source = ProceduralTracks(frames=6, size=(128, 128), points=200)
    error = []
    for scale in (0, 2):
        flow = FlowConfig(finest_scale=scale, without=0.0, sliding=0.0)
        batch = TrackedBatches(source, flow).batch([0, 1])
        known = (batch.flow.certainty > 0) & batch.visible
        error.append((batch.flow.xy - batch.xy).norm(dim=-1)[known].median())
    assert error[0] < error[1]
