"""The video as the page shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tracker.points.tracks import Tracks
from tracker.video.loading import load_video
from tracker.web.board import Point
from tracker.web.drawing import View, confidence_colours, drawn_frames


def test_points_are_drawn_in_their_colours_beside_the_video(clip: Path) -> None:
    video = load_video(clip, stop=4)
    xy = np.full((1, 4, 2), 20.5)
    tracks = Tracks(xy, np.ones((1, 4)), [(0, 20.5, 20.5)], video.size, confidence=np.ones((1, 4)))
    points = [Point(1, "blue", "#0000ff", ((0, (20.5, 20.5)),))]
    plain = next(drawn_frames(video, tracks.shown_from(1), points, View(trail=0)))
    both = next(drawn_frames(video, tracks, points, View(side_by_side=True)))
    height, width = plain.shape[:2]
    assert both.shape == (height, 2 * width, 3)
    x, y = (tracks.xy[0, 0] * height / 48).astype(int)
    np.testing.assert_array_equal(both[y, width + x], [0, 0, 255])
    assert (both[y, x] != [0, 0, 255]).any()
    certain = next(drawn_frames(video, tracks, points, View(by_confidence=True)))
    np.testing.assert_array_equal(certain[y, x], confidence_colours(tracks.confidence[:1, 0])[0])


def test_confidence_goes_from_red_to_green() -> None:
    colours = confidence_colours(np.array([0, 1, 0.5, np.nan, 2])).tolist()
    assert colours[0] == colours[3] == [255, 70, 60] and colours[1] == colours[4] == [60, 205, 70]
    assert colours[2] == [158, 138, 65]
