"""Positions between known ones lie on a line; everything known stays."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tracker.head.bridging import bridge, overrule


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_it_is_linear_interpolation(seed, length):
    random = np.random.default_rng(seed)
    xy = random.normal(0, 50, (3, length, 2)).astype(np.float32)
    known = random.random((3, length)) < 0.4
    filled = bridge(torch.from_numpy(xy), torch.from_numpy(known)).numpy()
    for place, mask, got in zip(xy, known, filled, strict=True):
        at = np.flatnonzero(mask)
        wanted = place
        if at.size:
            times = np.arange(length)
            wanted = np.stack([np.interp(times, at, place[at, k]) for k in (0, 1)], -1)
        np.testing.assert_allclose(got, wanted, atol=1e-3)
        np.testing.assert_array_equal(got[mask], place[mask])


def test_frames_before_are_known():
    xy = torch.tensor([[0.0, 0.0], [9.0, 9.0], [40.0, 8.0]])
    known = torch.tensor([False, False, True])
    before = torch.tensor([[7.0, 7.0], [10.0, 2.0]])
    assert bridge(xy, known, before).tolist() == [[20, 4], [30, 6], [40, 8]]
    nothing = bridge(xy, known & False)
    assert torch.equal(nothing, xy)


def test_later_places_overrule_earlier_ones():
    xy, sure = torch.zeros(3, 2), torch.tensor([False, False, False])
    first = torch.ones(3, 2), torch.tensor([True, True, False])
    second = torch.full((3, 2), 2.0), torch.tensor([False, True, False])
    places, known = overrule(xy, sure, [first, second])
    assert places[:, 0].tolist() == [1, 2, 0]
    assert known.tolist() == [True, True, False]
