"""Hard cuts and stretches without content, in videos where both are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.analysis.cuts import Contents, Stretch, find_contents
from tracker.video.video import Video

SIZE = (96, 64)


@pytest.fixture(scope="module")
def shots(make_frames: Callable[..., np.ndarray]) -> list[np.ndarray]:
    """Shots of 12 frames that move, each of a colour and pattern of its own."""
    tints = np.array([[1, 0.3, 0.2], [0.2, 1, 0.3], [0.3, 0.4, 1], [1, 1, 0.4]])
    return [
        (make_frames(12, SIZE, seed) * tint).astype(np.uint8) for seed, tint in enumerate(tints)
    ]


def contents(*parts: np.ndarray) -> Contents:
    return find_contents(Video.from_array(np.concatenate(parts)))


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_cuts_are_where_shots_are_joined(shots: list[np.ndarray], data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(2, 12), min_size=1, max_size=4))
    found = contents(*(shot[:n] for shot, n in zip(shots, lengths, strict=False)))
    assert found.cuts == np.cumsum(lengths)[:-1].tolist()
    assert [last - first + 1 for first, last in found.shots()] == lengths
    assert not found.stretches


def test_fast_motion_is_no_cut(make_frames: Callable[..., np.ndarray]) -> None:
    wide = make_frames(120, (96, 64))
    assert contents(wide[::9]).cuts == []  # nine pixels of 96 a frame


def test_a_flash_is_no_cut(shots: list[np.ndarray]) -> None:
    frames = shots[0].copy()
    frames[6] = 255 - (255 - frames[6]) // 10
    assert contents(frames).cuts == []


def test_black_white_and_flat_frames_are_found(shots: list[np.ndarray]) -> None:
    picture = shots[0][:1]
    parts = [shots[0], *(np.full_like(picture, v).repeat(3, 0) for v in (3, 128, 250)), shots[1]]
    found = contents(*parts)
    kinds = [("black", 12, 14), ("flat", 15, 17), ("white", 18, 20)]
    assert found.stretches == [Stretch(*kind) for kind in kinds]
    assert found.cuts == [12, 15, 18, 21]
    assert "frames 12..14 show nothing but black" in found.warnings()[0]


def test_fades_are_no_cuts(shots: list[np.ndarray]) -> None:
    dark = np.linspace(1, 0, 10)[:, None, None, None]
    still = shots[0][:1].repeat(10, 0)
    out = (still * dark).astype(np.uint8)
    back = (shots[1][:1].repeat(10, 0) * dark[::-1]).astype(np.uint8)
    found = contents(shots[0], out, np.zeros_like(out), back, shots[1])
    kinds = [s.kind for s in found.stretches if s.kind != "repeated"]
    assert kinds == ["fade", "black", "fade"] and found.cuts == []
    fade, black, again = (s for s in found.stretches if s.kind != "repeated")
    assert 12 <= fade.first <= 14 and fade.last + 1 == black.first
    assert black.last + 1 == again.first and 39 <= again.last <= 42


def test_repeated_frames_are_found(shots: list[np.ndarray]) -> None:
    pulldown = shots[0][[0, 1, 2, 3, 3, 4, 5, 6, 7, 7, 7, 8]]
    found = contents(pulldown)
    assert found.stretches == [Stretch("repeated", 4, 4), Stretch("repeated", 9, 10)]
    assert found.warnings() == [
        "frames 4, 9..10 repeat the frame before: there is little to follow there"
    ]


def test_a_still_picture_is_not_warned_of(shots: list[np.ndarray]) -> None:
    assert not contents(shots[0][:1].repeat(10, 0)).warnings()
    assert not contents(shots[0]).warnings()
    (line,) = contents(shots[0], shots[1]).warnings()
    assert line.startswith("a new shot begins at frame 12")


def test_one_frame_has_nothing_to_find(shots: list[np.ndarray]) -> None:
    found = contents(shots[0][:1])
    assert found.cuts == [] and found.stretches == [] and found.shots() == [(0, 0)]


def test_many_places_are_summed_up() -> None:
    found = Contents([], [Stretch("black", t, t + 1) for t in range(0, 100, 10)], np.zeros(100))
    assert found.warnings()[0].startswith("frames 0..1, 10..11") and "2 more" in found.warnings()[0]
