"""Pictures of tracks: dots where the points are, trails, contact sheets, files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tracker.errors import UserError
from tracker.points.drawing import contact_sheet, draw_tracks, overlay, point_colours, write_image
from tracker.points.tracks import Tracks
from tracker.video.video import Video

GRAY = np.full((300, 400, 3), 128, np.uint8)


def make_tracks(
    xy: list, visible: list | None = None, size: tuple[int, int] = (400, 300)
) -> Tracks:
    """Tracks from `[[(x, y), ...], ...]`."""
    xy = np.array(xy, np.float32)
    seen = np.ones(xy.shape[:2], bool) if visible is None else np.array(visible, bool)
    queries = np.column_stack([np.zeros(len(xy)), np.nan_to_num(xy[:, 0])])
    return Tracks(xy, seen, queries, size)


def changed(picture: np.ndarray, frame: np.ndarray = GRAY) -> np.ndarray:
    return np.abs(picture.astype(int) - frame).max(axis=-1) > 12


def centre_of(mask: np.ndarray) -> np.ndarray:
    """Centroid of a mask in raster pixels."""
    y, x = np.nonzero(mask)
    return np.array([x.mean(), y.mean()]) + 0.5


@pytest.mark.parametrize("point", [(100.0, 80.0), (100.5, 80.5), (211.25, 33.75)])
@pytest.mark.parametrize("seen", [True, False])
def test_a_dot_is_where_the_point_is(point: tuple[float, float], seen: bool) -> None:
    picture = draw_tracks(GRAY, make_tracks([[point]], [[seen]]), 0)
    np.testing.assert_allclose(centre_of(changed(picture)), point, atol=0.35)
    assert not changed(GRAY).any()  # the frame itself is left alone


def test_positions_scale_with_the_frame() -> None:
    tracks = make_tracks([[(25, 30)]], size=(100, 150))
    np.testing.assert_allclose(
        centre_of(changed(draw_tracks(GRAY, tracks, 0))), (100, 60), atol=0.35
    )


def test_an_occluded_point_is_hollow() -> None:
    frame = np.full((900, 1200, 3), 128, np.uint8)  # large, so that a ring has an inside
    filled, hollow = (
        changed(draw_tracks(frame, make_tracks([[(200, 150)]], [[seen]]), 0), frame)
        for seen in (True, False)
    )
    assert filled[450, 600] and not hollow[450, 600]
    assert 0 < hollow.sum() < 0.8 * filled.sum()


def test_less_confidence_is_paler() -> None:
    tracks = make_tracks([[(200, 150)]])
    certainty, unsure = (
        draw_tracks(GRAY, Tracks(tracks.xy, tracks.visible, tracks.queries, (400, 300), 24, c), 0)
        for c in (np.float32([[1.0]]), np.float32([[0.1]]))
    )
    assert unsure[150, 200].min() > certainty[150, 200].min() + 50


def test_trails_run_through_visible_places_only() -> None:
    path = [[(50 + 30 * t, 150) for t in range(6)]]
    seen = changed(draw_tracks(GRAY, make_tracks(path), 5))
    assert seen[149:151, 60:195].any(axis=0).all()
    hidden = changed(draw_tracks(GRAY, make_tracks(path, [[1, 1, 0, 0, 1, 1]]), 5))
    assert hidden[149:151, 60:75].any(axis=0).all() and hidden[149:151, 175:195].any(axis=0).all()
    assert not hidden[:, 85:165].any()
    short = changed(draw_tracks(GRAY, make_tracks(path), 5, trail=1))
    assert short[:, 175:190].any() and not short[:, :165].any()


@pytest.mark.parametrize("seed", range(3))
def test_trails_are_the_lines_between_neighbouring_visible_places(seed: int) -> None:
    random = np.random.default_rng(seed)
    xy = random.uniform(0, (400, 300), (6, 7, 2))
    visible = random.random((6, 7)) > 0.3
    visible[:, -1] = False  # the dots are drawn last, and hide what lies below them
    picture = draw_tracks(GRAY, make_tracks(xy.tolist(), visible.tolist()), 6)
    tracks = make_tracks(xy.tolist(), visible.tolist())
    lines = GRAY.copy()
    places = np.rint((tracks.xy - 0.5) * 16).astype(int)
    for point, colour in enumerate(point_colours(tracks).tolist()):
        for t in range(6):
            if visible[point, t] and visible[point, t + 1]:
                ends = (places[point, t].tolist(), places[point, t + 1].tolist())
                cv2.line(lines, *ends, colour, 1, cv2.LINE_AA, 4)
    expected = cv2.addWeighted(lines, 0.75, GRAY, 0.25, 0)
    for (x, y), colour in zip(places[:, -1].tolist(), point_colours(tracks).tolist(), strict=True):
        cv2.circle(expected, (x, y), 2 << 4, colour, 1, cv2.LINE_AA, 4)
    np.testing.assert_array_equal(picture, expected)


def test_a_trail_ends_where_a_position_is_out_of_reach() -> None:
    for far in ((np.nan, 5), (np.inf, 5), (1e9, -1e9)):
        picture = changed(draw_tracks(GRAY, make_tracks([[(50, 150), far, (80, 150)]]), 2))
        assert picture[145:155, 75:85].any() and picture.sum() < 100


def test_points_out_of_reach_are_left_out() -> None:
    far = make_tracks([[(np.nan, 5)], [(np.inf, 5)], [(1e9, -1e9)], [(-300, 900)]])
    assert not changed(draw_tracks(GRAY, far, 0)).any()


def test_colours_tell_where_a_track_started() -> None:
    corners = make_tracks([[(1, 1)], [(399, 1)], [(1, 299)], [(399, 299)]])
    colours = point_colours(corners).astype(int)
    assert len({tuple(c) for c in colours}) == 4
    assert point_colours(corners.select_points([])).shape == (0, 3)


def test_overlay_enlarges_small_videos_and_sets_truth_beside() -> None:
    video = Video.from_array(np.full((3, 48, 64, 3), 128, np.uint8))
    tracks = make_tracks([[(16, 24)] * 3], size=(64, 48))
    truth = make_tracks([[(48, 24)] * 3], size=(256, 256))
    plain = list(overlay(video, tracks))
    assert len(plain) == 3 and plain[0].shape == (480, 640, 3)
    np.testing.assert_allclose(
        centre_of(changed(plain[1], np.full_like(plain[1], 128))), (160, 240), atol=0.5
    )
    both = next(overlay(video, tracks, truth))
    assert both.shape == (480, 640 + 4 + 640, 3)
    # The truth is in pixels of 256x256: 48 of 256 is 120 of 640.
    right = changed(both, np.full_like(both, 128))[40:, 644:]
    np.testing.assert_allclose(centre_of(right), (120, 5), atol=0.5)


def test_extreme_shapes_stay_within_what_encoders_take() -> None:
    video = Video.from_array(np.full((1, 2, 3000, 3), 128, np.uint8))
    tracks = make_tracks([[(16, 1)]], size=(3000, 2))
    assert max(next(overlay(video, tracks)).shape) <= 4096


@pytest.mark.parametrize(("length", "cells"), [(1, (1, 1)), (3, (1, 3)), (8, (2, 4)), (50, (2, 4))])
def test_contact_sheet_spreads_over_the_video(length: int, cells: tuple[int, int]) -> None:
    frames = np.zeros((length, 30, 40, 3), np.uint8)
    frames += np.linspace(0, 200, length).astype(np.uint8)[:, None, None, None]
    tracks = make_tracks([[(-90, -90)] * length], size=(40, 30))
    sheet = contact_sheet(Video.from_array(frames), tracks)
    assert sheet.shape == (cells[0] * 360, cells[1] * 480, 3)
    shown = sheet[300::360, 240::480, 0].ravel()[: min(length, 8)].astype(int)
    assert (np.diff(shown) > 0).all() and shown[0] == 0
    assert length == 1 or abs(shown[-1] - 200) <= 1


def test_image_is_written_as_rgb(tmp_path: Path) -> None:
    picture = np.zeros((5, 7, 3), np.uint8)
    picture[..., 0] = 200
    picture[2, 3] = (1, 2, 3)
    path = write_image(tmp_path / "a.png", picture)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), picture)
    with pytest.raises(UserError, match="cannot write"):
        write_image(tmp_path / "a.png" / "b.png", picture)
