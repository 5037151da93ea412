"""Photometric polish: precise where flow can be believed, harmless where it cannot."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.flow import lucas_kanade
from tracker.polish import (
    TILE,
    PolishConfig,
    Polisher,
    cut_tiles,
    mosaic,
    patch_difference,
    polish_tracks,
    tile_corners,
)
from tracker.tracks import Tracks
from tracker.video import Video

SPEED = np.float32([1.6, -0.7])
SIZE = (256, 192)


def moving_picture(frames: int = 8, seed: int = 0) -> np.ndarray:
    """Smooth noise that moves by `SPEED` pixels a frame, exactly, sub-pixel steps included."""
    rng = np.random.default_rng(seed)
    width, height = SIZE
    noise = cv2.GaussianBlur(rng.random((height + 80, width + 80, 3), np.float32), (0, 0), 2.5)
    noise = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX)
    clip = []
    for t in range(frames):
        x, y = 40 - t * SPEED
        shift = np.float32([[1, 0, -x], [0, 1, -y]])
        clip.append(cv2.warpAffine(noise, shift, SIZE, flags=cv2.INTER_CUBIC))
    return np.clip(np.round(clip), 0, 255).astype(np.uint8)


def true_tracks(frames: int, t0: int) -> Tracks:
    start = np.float32([[60, 90], [128, 96], [180, 120]])
    xy = start[:, None] + (np.arange(frames)[None, :, None] - t0) * SPEED
    queries = np.column_stack([np.full(3, t0), start])
    return Tracks(xy, np.ones((3, frames), bool), queries, SIZE)


def errors(tracks: Tracks, truth: Tracks) -> np.ndarray:
    return np.linalg.norm(tracks.xy - truth.xy, axis=-1)


class TestFlow:
    def test_finds_a_known_shift_and_returns(self) -> None:
        clip = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in moving_picture(2)]
        xy = np.float32([[60, 90], [128.5, 96.25]])
        moved, missed = lucas_kanade(clip[0], clip[1], xy)
        np.testing.assert_allclose(moved, xy + SPEED, atol=0.05)
        assert (missed < 0.05).all()

    def test_a_guess_reaches_further_than_the_window(self) -> None:
        clip = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in moving_picture(30)]
        xy = np.float32([[100, 110]])
        far = xy + 29 * SPEED
        moved, missed = lucas_kanade(clip[0], clip[29], xy, far + 2, levels=0)
        np.testing.assert_allclose(moved, far, atol=0.1)
        assert missed[0] < 0.1
        assert np.linalg.norm(lucas_kanade(clip[0], clip[29], xy, levels=0)[0] - far) > 5

    def test_what_cannot_be_followed_misses(self) -> None:
        clip = [cv2.cvtColor(moving_picture(1, s)[0], cv2.COLOR_RGB2GRAY) for s in (0, 1)]
        _, missed = lucas_kanade(clip[0], clip[1], np.float32([[100, 100], [60, 90]]))
        assert (missed > 1).any()


@pytest.mark.parametrize("t0", [0, 4, 7])
def test_small_errors_become_sub_pixel_both_ways_in_time(t0: int) -> None:
    truth = true_tracks(8, t0)
    noise = np.random.default_rng(1).normal(0, 1.5, truth.xy.shape).astype(np.float32)
    rough = Tracks(truth.xy + noise, truth.visible, truth.queries, SIZE)
    polished = polish_tracks(Video.from_array(moving_picture()), rough, PolishConfig())
    assert np.median(errors(rough, truth)) > 1
    assert errors(polished, truth).max() < 0.15
    assert np.array_equal(polished.visible, rough.visible)


def test_an_alignment_that_leads_far_away_is_not_believed() -> None:
    truth = true_tracks(8, 0)
    elsewhere = truth.xy + np.float32([40, 30])
    elsewhere[:, 0] = truth.xy[:, 0]
    tracks = Tracks(elsewhere, truth.visible, truth.queries, SIZE)
    polished = polish_tracks(Video.from_array(moving_picture()), tracks, PolishConfig())
    assert (errors(polished, tracks) < 7).all()
    assert (errors(polished, truth)[:, 1:] > 30).all()


def test_a_point_that_looks_different_is_left_alone() -> None:
    clip, truth = moving_picture(), true_tracks(8, 0)
    clip[3:5] = 127
    rough = Tracks(truth.xy + np.float32([1.2, -1.0]), truth.visible, truth.queries, SIZE)
    polished = polish_tracks(Video.from_array(clip), rough, PolishConfig())
    assert errors(polished, truth)[:, [1, 2, 5, 6, 7]].max() < 0.15
    np.testing.assert_array_equal(polished.xy[:, 3:5], rough.xy[:, 3:5])
    never = polish_tracks(Video.from_array(clip), rough, PolishConfig(difference=0))
    np.testing.assert_array_equal(never.xy[:, 1:], rough.xy[:, 1:])


def test_positions_off_the_frame_or_not_finite_do_no_harm() -> None:
    truth = true_tracks(8, 0)
    xy = truth.xy.copy()
    xy[0, 3] = np.nan
    xy[1, 4] = (1e6, -1e6)
    tracks = Tracks(xy, truth.visible, truth.queries, SIZE)
    polished = polish_tracks(Video.from_array(moving_picture()), tracks, PolishConfig())
    assert np.isfinite(polished.xy[2]).all()
    assert errors(polished, truth)[2].max() < 0.15


def test_points_wait_for_their_query() -> None:
    clip, truth = moving_picture(), true_tracks(8, 5)
    polisher = Polisher(truth.queries, SIZE, PolishConfig())
    for t in range(5):
        head = truth.xy[:, t] + 3
        assert np.array_equal(polisher.push(clip[t], t, head), head)
    np.testing.assert_array_equal(polisher.push(clip[5], 5, truth.xy[:, 5] + 3), truth.xy[:, 5])


@settings(deadline=None, max_examples=25)
@given(count=st.integers(1, 30))
def test_mosaic_puts_every_tile_where_it_says(count: int) -> None:
    tiles = np.random.default_rng(count).integers(0, 256, (count, TILE, TILE), dtype=np.uint8)
    sheet = mosaic(tiles)
    for tile, (x, y) in zip(tiles, tile_corners(count), strict=True):
        assert np.array_equal(sheet[y : y + TILE, x : x + TILE], tile)


@settings(deadline=None, max_examples=25)
@given(x=st.floats(-300, 600), y=st.floats(-300, 600))
def test_tiles_are_cut_round_their_point(x: float, y: float) -> None:
    image = np.arange(192 * 256, dtype=np.uint64).astype(np.uint8).reshape(192, 256)
    tiles, corner = cut_tiles(image, np.float32([[x, y]]))
    assert tiles.shape == (1, TILE, TILE)
    inside = (corner[0] >= 0).all() and (corner[0] + TILE <= [256, 192]).all()
    if inside:
        left, top = corner[0]
        assert np.array_equal(tiles[0], image[top : top + TILE, left : left + TILE])
        assert np.abs(np.float32([x, y]) - corner[0] - TILE / 2).max() <= 1


def test_patch_difference() -> None:
    tiles = np.random.default_rng(0).integers(0, 200, (1, TILE, TILE), dtype=np.uint8)
    centre = np.float32([[32.5, 32.5]])
    assert patch_difference(tiles, centre, tiles, centre)[0] == 0
    assert patch_difference(tiles, centre, tiles + 9, centre)[0] == 9
    assert patch_difference(tiles, centre, tiles, centre + 7)[0] > 30
