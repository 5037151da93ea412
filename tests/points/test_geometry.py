"""What is inside the frame: one rule, for arrays and tensors, kept by everything that asks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.baselines import LucasKanadeTracker, StaticTracker
from tracker.errors import UserError
from tracker.flow.chains import FlowProposals, chain_flow
from tracker.points.geometry import inside_frame
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.training.batches import slide_away
from tracker.video.video import Video

SIZES = st.tuples(st.integers(16, 64), st.integers(16, 64))


@st.composite
def places(draw: st.DrawFn, size: tuple[int, int]) -> tuple[float, float]:
    """A position, most often on a border or one step of float32 beside it."""
    x, y = (
        draw(
            st.sampled_from(
                [
                    np.nextafter(np.float32(0), np.float32(-1)),
                    0.0,
                    0.5,
                    side / 2,
                    side - 0.5,
                    float(side),
                    np.nextafter(np.float32(side), np.float32(2 * side)),
                ]
            )
            | st.floats(-2.0 * side, 3.0 * side, width=32)
        )
        for side in size
    )
    return float(x), float(y)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), size=SIZES)
def test_a_frame_is_closed_on_all_sides(data: st.DataObject, size: tuple[int, int]) -> None:
    x, y = data.draw(places(size))
    expected = 0 <= x <= size[0] and 0 <= y <= size[1]
    array = np.array([[x, y]], np.float32)
    assert inside_frame(array, size).tolist() == [expected]
    assert inside_frame(torch.from_numpy(array), size).tolist() == [expected]


def test_what_is_no_number_is_outside() -> None:
    xy = np.array([[np.nan, 1], [1, np.inf], [-np.inf, 1], [1, 1]])
    assert inside_frame(xy, (4, 4)).tolist() == [False, False, False, True]
    assert inside_frame(torch.from_numpy(xy), (4, 4)).tolist() == [False, False, False, True]


@settings(deadline=None, max_examples=60)
@given(data=st.data(), size=SIZES)
def test_queries_tracks_and_trackers_agree(data: st.DataObject, size: tuple[int, int]) -> None:
    xy = np.array([data.draw(places(size))], np.float32)
    inside = bool(inside_frame(xy, size)[0])
    queries = Queries(np.column_stack([[0], xy]))
    shown = Tracks(xy[:, None], [[False]], queries.txy, size, confidence=[[1]]).shown_from(0.5)
    assert shown.visible[0, 0] == inside
    video = Video.from_array(np.zeros((2, size[1], size[0], 3), np.uint8))
    for tracker in (StaticTracker(), LucasKanadeTracker()):
        if inside:
            tracks = tracker.track(video, queries)
            assert tracks.visible[0, 0] and tracks.confidence[0, 0] == 1
        else:
            with pytest.raises(UserError, match="outside the frame"):
                tracker.track(video, queries)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), size=SIZES, image=SIZES)
def test_flow_keeps_a_query_inside_whatever_it_is_scaled_to(
    data: st.DataObject, size: tuple[int, int], image: tuple[int, int]
) -> None:
    xy = np.array([data.draw(places(size))], np.float32)
    still = np.zeros((2, image[1], image[0]), np.uint8)
    known = np.array([[1, 0]], np.float32)
    _, certainty = chain_flow(still, np.repeat(xy[:, None], 2, axis=1), known, size)
    assert (certainty[0, 0] == 1) == inside_frame(xy, size)[0]


@settings(deadline=None, max_examples=60)
@given(data=st.data(), size=SIZES)
def test_training_flow_keeps_what_is_inside(data: st.DataObject, size: tuple[int, int]) -> None:
    xy = torch.tensor([data.draw(places(size))], dtype=torch.float32)[None, None]
    flow = FlowProposals(xy, torch.ones(1, 1, 1))
    query_frame = torch.zeros(1, 1, dtype=torch.int64)
    slid = slide_away(flow, query_frame, size, 0.0, torch.Generator().manual_seed(0))
    assert bool(slid.certainty[0, 0, 0] == 1) == bool(inside_frame(xy, size))
