"""Overlaps of boxes and masks, and what non-maximum suppression leaves."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tracker.prompting.overlaps import box_overlaps, keep_best, mask_overlaps

SIDE = 12


@st.composite
def boxes(draw: st.DrawFn) -> np.ndarray:
    """Up to 6 boxes of whole pixels."""
    corners = draw(
        arrays(int, st.tuples(st.integers(0, 6), st.just(2)), elements=st.integers(0, 8))
    )
    extents = draw(arrays(int, corners.shape, elements=st.integers(1, 4)))
    return np.concatenate([corners, corners + extents], axis=1).astype(np.float32)


@settings(max_examples=50, deadline=None)
@given(boxes())
def test_boxes_overlap_as_the_masks_that_they_cover(found: np.ndarray) -> None:
    masks = np.zeros((len(found), SIDE, SIDE), bool)
    for mask, (left, top, right, bottom) in zip(masks, found.astype(int), strict=True):
        mask[top:bottom, left:right] = True
    overlaps = box_overlaps(found)
    np.testing.assert_allclose(overlaps, mask_overlaps(masks), rtol=1e-6)
    np.testing.assert_array_equal(overlaps, overlaps.T)
    np.testing.assert_array_equal(np.diag(overlaps), 1)


@settings(max_examples=50, deadline=None)
@given(boxes(), st.floats(0, 1), st.randoms(use_true_random=False))
def test_what_is_left_out_overlaps_something_better(found, most, random) -> None:
    scores = np.array([random.choice([0.2, 0.5, 0.9]) for _ in found])
    overlaps = box_overlaps(found)
    chosen = keep_best(overlaps, scores, most)
    assert scores[chosen].tolist() == sorted(scores[chosen], reverse=True)
    for number in range(len(found)):
        better = [n for n in chosen if (-scores[n], n) < (-scores[number], number)]
        assert (number in chosen) == (not (overlaps[number, better] > most).any())


def test_a_box_in_a_box() -> None:
    overlaps = box_overlaps(np.array([[0, 0, 4, 4], [0, 0, 2, 2], [4, 0, 8, 4]], np.float32))
    assert overlaps[0].tolist() == [1, 0.25, 0]
    assert keep_best(overlaps, np.array([0.1, 0.9, 0.5]), 0.2) == [1, 2]
