"""The widget from points to tracks, corrections and files, in napari's model of a viewer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.registry import make_tracker


def truth(t0: int, x: float, y: float) -> np.ndarray:
    """Where a point of the clip is in each frame, `(12, 2)`."""
    return np.stack([x + np.arange(12) - t0, np.full(12, y)], axis=1)


def test_points_are_followed_and_shown_as_layers(desk) -> None:
    desk.add("nose", 0, 30.5, 40.5)
    desk.add("", 6, 60.5, 30.5)
    desk.press("track")
    assert not desk.told
    tracks = desk.widget.tracks
    assert tracks.names == ("nose", "point 1") and tracks.xy.shape == (2, 12, 2)
    np.testing.assert_allclose(tracks.xy, [truth(0, 30.5, 40.5), truth(6, 60.5, 30.5)], atol=0.3)
    # In pixels of the layers: a pixel's centre is a whole number there.
    np.testing.assert_allclose(desk.place("nose", 5), tracks.xy[0, 5], atol=1e-4)
    lines = desk.viewer.layers["tracks in clip"]
    assert len(lines.data) == tracks.visible.sum()
    features = desk.positions.features
    assert features["shown"].tolist() == tracks.visible.ravel().tolist()
    np.testing.assert_allclose(features["confidence"], tracks.confidence.ravel())
    assert desk.widget.points.value is desk.points, "what was found is not offered as queries"
    assert desk.points.features["name"].tolist() == ["nose", "point 1"]


def test_anchors_and_hidden_frames_are_gone_through(desk) -> None:
    desk.add("nose", 0, 30.5, 40.5)
    desk.add("nose", 8, 45.5, 30.5)
    desk.press("track")
    tracks = desk.widget.tracks
    assert len(tracks) == 1
    np.testing.assert_allclose(tracks.xy[0, [0, 8]], [(30.5, 40.5), (45.5, 30.5)], atol=1e-4)
    desk.go(4)
    desk.positions.selected_data = {desk.row("nose", 4)}
    desk.press("hide_here")
    desk.press("track")
    assert not desk.told and len(desk.widget.tracks) == 1
    assert desk.widget.tracks.confidence[0, 4] == 0 and not desk.widget.tracks.visible[0, 4]


def test_what_was_dragged_is_an_anchor(desk) -> None:
    desk.add("a", 0, 30.5, 40.5)
    desk.add("b", 0, 50.5, 20.5)
    desk.press("track")
    before = desk.widget.tracks
    x, y = before.xy[0, 6]
    desk.drag("a", 6, x + 8, y - 5)
    desk.press("track")
    tracks = desk.widget.tracks
    np.testing.assert_allclose(tracks.xy[0, 6], (x + 8, y - 5), atol=1e-3)
    np.testing.assert_allclose(tracks.xy[0, 11], (x + 13, y - 5), atol=0.3)
    np.testing.assert_array_equal(tracks.xy[1], before.xy[1])
    assert desk.points.features["name"].tolist() == ["a", "b", "a"]
    desk.press("track")
    assert len(desk.points.data) == 3, "what was taken over is not taken over again"


def test_track_on_from_here_takes_this_frame_s_places(desk) -> None:
    desk.press("track_here")
    assert "press Track first" in desk.told.pop()
    desk.add("a", 0, 30.5, 40.5)
    desk.add("b", 0, 50.5, 20.5)
    desk.press("track")
    desk.go(7)
    desk.positions.selected_data = {desk.row("b", 7)}
    desk.press("track_here")
    assert desk.points.features["name"].tolist() == ["a", "b", "b"]
    assert desk.points.data[2][0] == 7
    desk.positions.selected_data = set()
    desk.go(3)
    desk.press("track_here")
    assert [int(t) for t in desk.points.data[:, 0]] == [0, 0, 7, 3, 3]


def test_certainty_chooses_what_is_shown(desk) -> None:
    desk.add("nose", 0, 90.5, 40.5)  # leaves the frame
    desk.press("track")
    shown = desk.widget.tracks.visible.sum()
    assert 0 < shown < 12
    hollow = desk.positions.face_color[:, 3] == 0
    np.testing.assert_array_equal(hollow, ~desk.widget.tracks.visible[0])
    desk.drag("nose", 3, 80, 40)
    desk.widget.certainty.value = 0.99
    np.testing.assert_array_equal(
        desk.positions.features["shown"], desk.widget.tracks.visible.ravel()
    )
    assert desk.place("nose", 3) == (80, 40), "what was dragged stays where it is"


def test_the_video_s_layer_may_be_scaled(make_desk: Callable, make_frames: Callable) -> None:
    desk = make_desk(make_frames(12, (96, 80)), scale=(2, 0.5, 0.5), translate=(0, 9, -3))
    desk.add("nose", 2, 30.5, 40.5)
    desk.press("track")
    np.testing.assert_allclose(desk.widget.tracks.queries, [[2, 30.5, 40.5]], atol=1e-4)
    np.testing.assert_allclose(desk.widget.tracks.xy[0], truth(2, 30.5, 40.5), atol=0.3)
    np.testing.assert_array_equal(desk.positions.scale, desk.video.scale)


def test_tracks_are_those_of_python_and_are_exported(desk, out: Path) -> None:
    desk.widget.export.native.click()
    assert "press Track" in desk.told.pop()
    desk.add("nose", 0, 30.5, 40.5)
    desk.press("track")
    queries = Queries([(0, 30.5, 40.5)], ["nose"])
    expected = make_tracker("lk").track(desk.video.data, queries).shown_from(0.25)
    np.testing.assert_allclose(desk.widget.tracks.xy, expected.xy, atol=1e-4)
    for file, kind in [("a.csv", None), ("b.npz", None), ("c.csv", "napari"), ("d.npz", "npz")]:
        desk.widget.file.value = out / file
        desk.widget.format.value = kind or desk.widget.format.choices[0]
        desk.widget.export.native.click()
        assert not desk.told and (out / file).stat().st_size
    assert Tracks.load(out / "b.npz") == desk.widget.tracks
    assert Tracks.load(out / "a.csv").names == ("nose",)
    assert (out / "c.csv").read_text().startswith("track_id,t,y,x")


def test_a_run_is_stopped(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(queries: Queries, progress: Callable[[int, int], None]) -> None:
        while True:
            progress(1, 4)
            time.sleep(0.01)

    monkeypatch.setattr("tracker.napari.following.Following.track", lambda _, *args: endless(*args))
    desk.add("nose", 0, 30.5, 40.5)
    desk.widget.track.native.click()
    desk.wait(lambda: desk.widget.progress.value == 1 and desk.widget.progress.max == 4)
    assert desk.widget.stop.enabled and not desk.widget.track.enabled
    desk.press("stop")
    desk.wait(lambda: "stopped" in desk.widget.status.value)
    assert not desk.told and desk.widget.tracks is None


def test_names_go_to_what_is_selected_and_added(desk) -> None:
    desk.widget.new.native.click()
    layer, field = desk.points, desk.widget.point_name
    layer.add((0, 10, 20))  # napari selects what is added
    field.value = "nose"
    layer.add((0, 30, 40))  # in the same frame: another point
    assert layer.features["name"].tolist() == ["nose", ""] and field.value == ""
    field.value = "tail"
    layer.selected_data = {0}
    assert field.value == "nose"
    layer.add((5, 11, 22))  # in another frame: an anchor
    assert layer.features["name"].tolist() == ["nose", "tail", "nose"]
    desk.press("track")
    layer.selected_data = set()
    layer.add((7, 50, 60))
    assert layer.features["name"].tolist()[-1] == "", "it is no anchor of the last point"
    assert not desk.told and desk.widget.tracks.names == ("nose", "tail")


def twice_in_a_frame(desk) -> None:
    desk.add("a", 1, 5, 5)
    desk.add("b", 1, 9, 9)
    desk.points.features = {"name": ["a", "a"], "hidden": [False, False]}


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda desk: None, "press New points"),
        (lambda desk: desk.widget.new.native.click(), "no points yet"),
        (lambda desk: desk.add("nose", 0, 200, 10), "outside the frame"),
        (twice_in_a_frame, "named twice in frame 1"),
        (
            lambda desk: (desk.add("a", 1, 5, 5), setattr(desk.widget.tracker, "value", "no")),
            "'no'",
        ),
        (lambda desk: desk.viewer.layers.remove(desk.video), "no video"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(desk, prepare: Callable, words: str) -> None:
    prepare(desk)
    desk.press("track")
    desk.wait(lambda: bool(desk.told))
    (line,) = desk.told
    assert words in line and "\n" not in line and desk.widget.tracks is None
