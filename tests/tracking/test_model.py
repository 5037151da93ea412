"""Backbone, template and head side by side: what they say of frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import tiny_tracker, tiny_video

from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.tracking.tracker import PointTracker


def with_adapter() -> PointTracker:
    """Return a tracker whose temporal adapter does something, as after training."""
    tracker = tiny_tracker()
    torch.nn.init.normal_(tracker.head.projection.adapter.up.weight)
    return tracker


@torch.inference_mode()
@pytest.mark.parametrize("skipped", [2, 3, 5])
def test_frames_before_a_block_are_seen_by_the_temporal_adapter(skipped: int) -> None:
    """As if they belonged to the block; only then are they left out."""
    tracker, frames = with_adapter(), tiny_video(8).read()
    whole = tracker.describe(frames)
    part = tracker.describe(frames[skipped:], frames[:skipped])
    assert part.num_frames == 8 - skipped
    for ours, all_frames in zip(part.levels, whole.levels, strict=True):
        expected = all_frames.select_frames(slice(skipped, None)).table
        torch.testing.assert_close(ours.table, expected, atol=1e-5, rtol=1e-5)
    alone = tracker.describe(frames[skipped:])
    assert (alone.levels[0].table - part.levels[0].table).abs().max() > 0.01


def test_a_head_without_the_branch_needs_no_residuals_and_one_with_it_does() -> None:
    tracker = tiny_tracker()
    with pytest.raises(UserError, match="needs residuals"):
        tracker.head.describe(None, None, torch.rand(1, 2, 3, 64, 64))


def test_the_fingerprint_does_not_depend_on_where_files_lie(tmp_path: Path) -> None:
    tracker = tiny_tracker()
    for name in ("one", "two"):
        tracker.save_pretrained(tmp_path / name)
    one, two = (PointTracker.from_pretrained(tmp_path / name) for name in ("one", "two"))
    assert one.config.backbone.source != two.config.backbone.source
    assert one.fingerprint == two.fingerprint


def test_rounded_products_leave_tracks_about_where_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    video, queries = tiny_video(10), Queries.grid(2, (96, 64))

    def tracks(pays: bool, dtype: str = "auto") -> Tracks:
        monkeypatch.setattr("tracker.devices.bf16_pays", lambda device: pays)
        exact = tiny_tracker()
        config = replace(exact.config, backbone=replace(exact.config.backbone, dtype=dtype))
        tracker = PointTracker(config, backbone=exact.backbone).eval()
        tracker.load_state_dict(exact.state_dict())
        return tracker.track(video, queries)

    exact = tracks(False)
    assert tracks(True, "float32") == exact
    rounded = tracks(True)
    assert rounded != exact and rounded == tracks(True)
    # Random weights go astray now and then.
    assert np.mean(np.abs(rounded.xy - exact.xy) < 1) > 0.9
    assert np.mean(np.abs(rounded.confidence - exact.confidence) < 0.1) > 0.9
