"""Pasts are kept up to a bound, and found again where they are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_tracker, tiny_video
from torch import Tensor

from tracker.head.past import Matches, Past
from tracker.points.queries import Queries
from tracker.tracking.past import KeptPasts

FRAMES = 3
POINT = 4 * FRAMES * (2 + 2 + 5 + 2 + 2 + 5)
"""Bytes of a point's past."""


def past_of(rows: Tensor) -> Past:
    """Return a past whose every number is that of its point."""
    told = rows.float()[None, :, None, None]
    two, five = (told.expand(1, -1, FRAMES, width).clone() for width in (2, 5))
    return Past(Matches(two, two, five), two, two, five)


@settings(deadline=None, max_examples=30)
@given(room=st.integers(0, 8), asked=st.lists(st.integers(0, 5), min_size=1, unique=True))
def test_what_has_no_room_is_looked_up_again(room: int, asked: list[int]) -> None:
    pasts, every, looked = KeptPasts(6, torch.device("cpu"), room * POINT), torch.arange(6), []

    def look_back(rows: Tensor) -> Past:
        looked.extend(rows.tolist())
        return past_of(rows)

    for part in every.split(2):
        pasts.keep(part, past_of(part), FRAMES)
    pasts.turn()
    found = pasts.of(torch.tensor(asked), look_back)
    assert sorted(looked) == sorted(row for row in asked if row >= room)
    for tensor in found.tensors():
        assert torch.equal(
            tensor, torch.tensor(asked).float()[None, :, None, None].expand_as(tensor)
        )


def test_points_come_and_go() -> None:
    # Two frames of each are kept, so that there is room for three of the four.
    pasts, every = KeptPasts(4, torch.device("cpu"), 2 * POINT), torch.arange(4)
    pasts.keep(every, past_of(every), 2)
    pasts.turn()
    pasts.add(1)
    pasts.select(torch.tensor([4, 3, 2, 0]))
    assert pasts.has.tolist() == [False, False, True, False]
    kept = pasts.of(torch.tensor([2]), past_of)
    assert kept.num_frames == 2 and (kept.xy == 2).all()


@pytest.mark.parametrize("points", [0, 2])
def test_a_stream_without_room_finds_the_same(points: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, video = Queries.grid(2, (96, 64)), tiny_video(12)
    tracks = []
    for limit in (2**30, points * 4 * 4 * (8 + 2 * 4 * 16)):
        tracker = tiny_tracker()
        tracker.head.refine.update.weight.data *= 0.05  # or rounding is blown up
        stream = tracker.stream(queries, (96, 64))
        stream._follower.pasts.limit = limit
        tracks.append([stream.push(chunk).xy for chunk in video.chunks(2)])
        assert int(stream._follower.pasts.has.sum()) == (4 if limit == 2**30 else points)
    np.testing.assert_allclose(
        np.concatenate(tracks[0], 1), np.concatenate(tracks[1], 1), atol=0.05
    )
