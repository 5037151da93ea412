"""Tracks show themselves: sheets, videos, notebooks, single positions."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from any_tracks import any_tracks, three_points
from hypothesis import given, settings
from PIL import Image

from tracker.errors import UserError
from tracker.points.drawing import contact_sheet, overlay
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.video.loading import load_video


@pytest.fixture
def frames(make_frames: Callable[..., np.ndarray]) -> np.ndarray:
    return make_frames(120, (64, 48))


def test_tracks_are_chosen_by_name_and_number() -> None:
    tracks = three_points()
    assert tracks["tail"] == tracks[2] == tracks[[2]] and tracks["tail"].names == ("tail",)
    assert tracks[:2].names == ("left eye", "") and len(tracks[np.array([True, False, True])]) == 2
    assert [track.names for track in tracks] == [("left eye",), ("",), ("tail",)]
    np.testing.assert_array_equal(np.asarray(tracks), tracks.xy)
    with pytest.raises(UserError, match="did you mean 'left eye'"):
        tracks["left_eye"]
    with pytest.raises(UserError, match="there are 'left eye', 'tail'"):
        tracks["q"]
    with pytest.raises(UserError, match="no names"):
        Tracks(tracks.xy, tracks.visible, tracks.queries, tracks.size)["tail"]
    with pytest.raises(IndexError):
        tracks[3]
    assert Queries(tracks.queries, tracks.names)["tail"].txy.tolist() == [[2, 32, 40.125]]


@settings(deadline=None, max_examples=30)
@given(tracks=any_tracks(least=1))
def test_positions_are_those_of_the_array(tracks: Tracks) -> None:
    for point in range(len(tracks)):
        for t in range(tracks.num_frames):
            np.testing.assert_array_equal(tracks.position(point, t), tracks.xy[point, t])


def test_positions_by_name() -> None:
    tracks = three_points()
    assert tracks.position("left eye", 2) == (2.5, 1.5)
    assert tracks.position("left eye", 2) == tracks.position(0, 2)
    for point, t, words in [(3, 0, "point 3"), (-1, 0, "point -1"), (0, 4, "frame 4")]:
        with pytest.raises(UserError, match=words):
            tracks.position(point, t)
    twice = Tracks(tracks.xy, tracks.visible, tracks.queries, tracks.size, names=["a", "b", "a"])
    with pytest.raises(UserError, match="points 0, 2 are called 'a'"):
        twice.position("a", 0)


def test_a_plot_is_the_contact_sheet(frames: np.ndarray) -> None:
    tracks, part = three_points(), load_video(frames).select(100, 107, 2)
    expected = contact_sheet(part, tracks)
    assert np.array_equal(np.asarray(tracks.plot(part)), expected)
    # Of the whole video, the frames that were tracked are found.
    assert np.array_equal(np.asarray(tracks.plot(frames)), expected)
    with pytest.raises(UserError, match="4 frames but array has 50"):
        tracks.plot(frames[:50])


def test_a_rendered_video_is_the_overlay(frames: np.ndarray, tmp_path: Path) -> None:
    tracks, steps = three_points(), []
    path = tracks.render(frames, tmp_path / "out.mp4", progress=lambda *now: steps.append(now))
    written = load_video(path)
    assert path == tmp_path / "out.mp4" and steps[-1] == (4, 4) and written.fps == 12
    expected = np.stack(list(overlay(load_video(frames).select(100, 107, 2), tracks)))
    assert np.abs(written.read().astype(int) - expected).mean() < 8
    with pytest.raises(UserError, match="give the video that was tracked"):
        tracks.render(frames[:50], tmp_path / "other.mp4")
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


@settings(deadline=None, max_examples=15)
@given(tracks=any_tracks())
def test_notebooks_show_any_tracks(tracks: Tracks) -> None:
    html = tracks._repr_html_()
    assert html.startswith("<div>") and len(html) < 400_000


def test_what_notebooks_show_is_small_and_harmless() -> None:
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 400, (3000, 40, 2))
    queries = np.column_stack([np.zeros(3000), xy[:, 0]])
    names = ["<script>alert(1)</script>", *("x" * 500 for _ in range(2999))]
    html = Tracks(xy, np.ones((3000, 40)), queries, (400, 4000), names=names)._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html and "and 2992 more" in html
    assert len(html) < 400_000 and html.count("<tr>") == 9
    picture = re.search(r"base64,([^\"]+)", html)
    assert picture is not None
    import base64
    import io

    assert max(Image.open(io.BytesIO(base64.b64decode(picture[1]))).size) <= 1000


def test_queries_are_drawn_where_they_are_asked_for(frames: np.ndarray) -> None:
    black = np.zeros_like(frames[:10])
    one = np.asarray(Queries([[3, 16, 36]]).plot(black)).astype(int)
    one[: one.shape[0] // 4, : one.shape[1] // 2] = 0  # the frame's number
    y, x = np.nonzero(one.max(axis=2) > 60)
    scale = one.shape[1] / 64
    np.testing.assert_allclose([x.mean() / scale, y.mean() / scale], [16, 36], atol=0.5)
    sheet = np.asarray(Queries([[t, 5, 5] for t in range(3)]).plot(black))
    assert sheet.shape[1] == 3 * 480
    many = Queries([[t, 5, 5] for t in range(100)]).plot(frames)
    assert many.size == (4 * 480, 4 * 360)
    with pytest.raises(UserError, match=r"frames 0\.\.9"):
        Queries([[10, 5, 5]]).plot(black)
