"""Flow is exact where a picture is only shifted, and stays lost once it is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.flow.chains import AGREEMENT, JUMPS, MAX_ROUND_TRIP, chain_flow
from tracker.flow.fields import LONGEST_SIDE, gray_frames
from tracker.flow.sampling import sample

SIZE = (128, 96)


def blobs(size: tuple[int, int] = (96, 128), seed: int = 0) -> np.ndarray:
    """A smooth random picture `(H, W) uint8`."""
    noise = np.random.default_rng(seed).random(size).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def sliding(length: int, step: tuple[float, float]) -> list[np.ndarray]:
    """A picture that moves by `step` pixels a frame."""
    picture = blobs((160, 220))
    move = [np.float32([[1, 0, t * step[0] - 40], [0, 1, t * step[1] - 30]]) for t in range(length)]
    return [cv2.warpAffine(picture, m, SIZE, flags=cv2.INTER_LINEAR) for m in move]


def follow(
    images: list[np.ndarray],
    frame: list[int],
    start: list[list[float]],
    certainty: list[float] | None = None,
    size: tuple[int, int] = SIZE,
    jumps: tuple[int, ...] = JUMPS,
) -> tuple[np.ndarray, np.ndarray]:
    """Follow points that are known in one frame each."""
    xy = np.repeat(np.float32(start)[:, None], len(images), axis=1)
    known = np.zeros(xy.shape[:2], np.float32)
    known[range(len(frame)), frame] = 1 if certainty is None else certainty
    return chain_flow(images, xy, known, size, jumps)


@settings(max_examples=10, deadline=None)
@given(dx=st.floats(-2, 2), dy=st.floats(-2, 2), frame=st.integers(0, 5))
def test_chain_follows_a_shift_both_ways(dx: float, dy: float, frame: int) -> None:
    start = np.float32([[60, 50], [70.5, 44.25]])
    xy, certainty = follow(sliding(6, (dx, dy)), [frame] * 2, start)
    time = np.arange(6) - frame
    truth = start[:, None] + time[None, :, None] * np.float32([dx, dy])
    assert (certainty > 0.8).all()
    np.testing.assert_allclose(xy, truth, atol=0.3)


def test_points_may_be_known_in_different_frames() -> None:
    images = sliding(5, (1.5, -1.0))
    frame, start = [0, 4], [[60, 50], [66, 46]]
    together = follow(images, frame, start)
    for n in range(2):
        alone = follow(images, frame[n : n + 1], start[n : n + 1])
        np.testing.assert_array_equal(together[0][n], alone[0][0])
        np.testing.assert_array_equal(together[1][n], alone[1][0])


def test_points_may_be_known_in_many_frames() -> None:
    images = sliding(8, (1, 0))
    xy = np.float32([60, 50]) + np.arange(8, dtype=np.float32)[None, :, None] * [1, 0]
    known = np.float32([[0, 0, 0.9, 1, 0.8, 0, 0, 0]])
    wrong = xy + 20 * (known == 0)[..., None]
    places, certainty = chain_flow(images, wrong, known, SIZE)
    np.testing.assert_allclose(places, xy, atol=0.3)
    np.testing.assert_array_equal(certainty[:, 2:5], known[:, 2:5])
    assert (certainty[:, [0, 1, 5, 6, 7]] > 0.7).all()


def test_positions_are_told_in_pixels_of_the_given_size() -> None:
    images = sliding(4, (1.5, -1.0))
    xy, trust = follow(images, [0], [[60, 50]])
    larger, same = follow(images, [0], [[180, 25]], size=(3 * SIZE[0], SIZE[1] // 2))
    np.testing.assert_allclose(larger, xy * [3, 0.5], rtol=1e-5)
    np.testing.assert_array_equal(same, trust)


def test_each_field_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[bytes] = []

    def counting(method: object, one: np.ndarray, two: np.ndarray) -> np.ndarray:
        computed.append(one.tobytes() + two.tobytes())
        return np.zeros((*one.shape, 2), np.float16)

    def fields(frame: list[int], jumps: tuple[int, ...], certainty: list[float]) -> int:
        computed.clear()
        follow(images, frame, [[60, 50]] * 3, certainty, jumps=jumps)
        assert len(computed) == len(set(computed))
        return len(computed)

    monkeypatch.setattr("tracker.flow.fields.field_between", counting)
    images = sliding(6, (1, 0))
    # One there and one back for each pair, also where points are followed both ways.
    assert fields([2, 2, 2], (1,), [1, 1, 1]) == 2 * 5
    assert fields([0, 3, 5], (1,), [1, 1, 1]) == 2 * 5
    assert fields([2, 2, 2], (1,), [0, 1, 1]) == 2 * 5
    # Where short links are perfect, longer ones have nothing to correct.
    assert fields([0, 0, 0], (1, 4), [1, 1, 1]) == 2 * 5


def test_longer_links_are_followed_where_short_ones_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    links = []

    def link(flow: object, start: int, end: int, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        links.append((start, end, len(xy)))
        return xy, np.float32([0.01, 0.4])[: len(xy)]

    monkeypatch.setattr("tracker.flow.chains.follow_link", link)
    follow(sliding(5, (0, 0)), [0, 0], [[60, 50], [40, 40]], jumps=(1, 4))
    assert [count for start, end, count in links if end - start == 1] == [2] * 4
    assert [count for start, end, count in links if end - start == 4] == [1]


def test_a_chain_jumps_over_a_spoilt_frame_and_without_jumps_ends_there() -> None:
    images = sliding(6, (1, 0))
    images[3] = np.random.default_rng(0).integers(0, 255, (96, 128), np.uint8)
    _, certainty = follow(images, [0], [[60, 50]], jumps=(1,))
    assert (certainty[0, :3] > 0.8).all()
    assert (certainty[0, 3:] == 0).all()
    xy, certainty = follow(images, [0], [[60, 50]], jumps=(1, 4))
    assert certainty[0, 3] == 0
    assert (certainty[0, 4:] > 0.8).all()
    np.testing.assert_allclose(xy[0, 4:], [[64, 50], [65, 50]], atol=0.3)


@pytest.mark.parametrize(
    ("miss", "off", "taken"),
    [
        (0.5, 0, False),  # four short links sum up to 4 (0.2² + 0.1²), which is less than its own
        (0.3, 0, True),
        (0.3, 0.9 * AGREEMENT, True),
        (0.3, 1.1 * AGREEMENT, False),  # it contradicts them
    ],
)
def test_a_longer_link_corrects_but_does_not_contradict(
    miss: float, off: float, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(flow: object, start: int, end: int, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        long = end - start == 4
        shift = [off * SIZE[0] / 256 if long else 0, 0]
        return np.float32(xy + shift), np.full(len(xy), miss if long else 0.2, np.float32)

    monkeypatch.setattr("tracker.flow.chains.follow_link", link)
    _, certainty = follow(sliding(5, (0, 0)), [0], [[60, 50]], jumps=(1, 4))
    assert certainty[0, 4] == pytest.approx(1 - (miss if taken else 0.2) / MAX_ROUND_TRIP)


def test_unsure_points_are_not_followed_and_trust_never_rises() -> None:
    images = sliding(6, (1, 1))
    _, trust = follow(images, [0] * 3, [[60, 50]] * 3, certainty=[0, 0.6, 1])
    assert (trust[0] == 0).all()
    assert trust[1].max() == pytest.approx(0.6)
    assert (trust[1:, 1:] <= trust[1:, :1]).all()


def test_points_that_leave_the_frame_are_lost() -> None:
    xy, certainty = follow(sliding(6, (6, 0)), [0], [[112, 50]], jumps=(1,))
    outside = xy[0, :, 0] >= 128
    assert outside.any()
    assert (certainty[0, outside] == 0).all()


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (20, 300)])
def test_small_frames_do_no_harm(size: tuple[int, int]) -> None:
    xy, certainty = follow([blobs(size)] * 3, [1], [[4, 4]], size=size[::-1])
    assert np.isfinite(xy).all()
    assert certainty[0, 1] == 1
    assert (certainty[0, ::2] > 0.9).all() == (min(size) >= 16)


def test_a_field_is_read_between_pixels_and_beyond_its_border() -> None:
    y, x = np.mgrid[:6, :8].astype(np.float32) + 0.5
    field = np.stack([x, y], -1)
    xy = np.float32([[2.5, 3.5], [3.25, 1.75], [-50, 3], [1e4, 1e4]])
    expected = np.clip(xy, 0.5, [7.5, 5.5])
    np.testing.assert_allclose(sample(field, xy), expected, atol=0.02)
    many = np.tile(xy, (20_000, 1))
    np.testing.assert_array_equal(sample(field, many)[-4:], sample(field, xy))


def test_large_frames_are_shrunk() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2, 30, 2 * LONGEST_SIDE, 3), np.uint8)
    assert gray_frames(frames).shape == (2, 15, LONGEST_SIDE)
    assert gray_frames(frames[:, :, :200]).shape == (2, 30, 200)


def test_what_counts_as_lost() -> None:
    images = sliding(2, (1, 0))
    images[1][:, 64:] = blobs((96, 64), seed=5)
    _, certainty = follow(images, [0, 0], [[30, 50], [100, 50]])
    assert certainty[0, 1] > 1 - 0.5 / MAX_ROUND_TRIP
    assert certainty[1, 1] < certainty[0, 1]
