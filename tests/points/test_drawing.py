"""Pictures of tracks: dots where the points are, trails, contact sheets, files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tracker.errors import UserError
from tracker.points.drawing import (
    DrawingStyle,
    contact_sheet,
    draw_tracks,
    overlay,
    point_colours,
    write_image,
)
from tracker.points.drawing.colours import PALETTE, group_colours
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.video.video import Video

GRAY = np.full((300, 400, 3), 128, np.uint8)
ANYWHERE = st.floats(-1e4, 1e4, width=32)


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
    short = changed(draw_tracks(GRAY, make_tracks(path), 5, DrawingStyle(trail=1)))
    assert short[:, 175:190].any() and not short[:, :165].any()


@pytest.mark.parametrize("seed", range(3))
def test_trails_are_the_lines_between_neighbouring_visible_places(seed: int) -> None:
    random = np.random.default_rng(seed)
    xy = random.uniform(0, (400, 300), (6, 7, 2))
    visible = random.random((6, 7)) > 0.3
    visible[:, -1] = False  # so that there are no dots, which are drawn last
    tracks = make_tracks(xy.tolist(), visible.tolist())
    picture = draw_tracks(GRAY, tracks, 6, DrawingStyle(trail=7, visible=True))
    places = np.rint((tracks.xy - 0.5) * 16).astype(int)
    expected = GRAY.copy()
    # From the oldest of four parts to the newest, each of which fades those before it.
    for part in range(4):
        if part:
            expected = cv2.addWeighted(expected, 0.6, GRAY, 0.4, 0)
        for hue in PALETTE.tolist():
            for point, colour in enumerate(point_colours(tracks).tolist()):
                for t in range(6):
                    age = 5 - t
                    seen = visible[point, t] and visible[point, t + 1]
                    if seen and colour == hue and 3 - age * 4 // 7 == part:
                        ends = (places[point, t].tolist(), places[point, t + 1].tolist())
                        cv2.line(expected, *ends, colour, 1, cv2.LINE_AA, 4)
    apart = np.abs(picture.astype(int) - expected).max(axis=-1) > 8
    assert changed(picture).sum() > 500
    assert apart.sum() < 0.01 * changed(picture).sum()  # lines that cross, in another order


def test_a_trail_fades() -> None:
    path = [[(20 + 20 * t, 150) for t in range(13)]]
    picture = draw_tracks(GRAY, make_tracks(path), 12)
    strength = np.abs(picture[150].astype(int) - GRAY[150]).max(axis=-1)
    places = [strength[30 + 20 * t] for t in range(0, 12, 3)]
    assert places == sorted(places) and places[0] > 10 and places[0] < 0.4 * places[-1]


def test_a_trail_ends_where_a_position_is_out_of_reach() -> None:
    for far in ((np.nan, 5), (np.inf, 5), (1e9, -1e9)):
        picture = changed(draw_tracks(GRAY, make_tracks([[(50, 150), far, (80, 150)]]), 2))
        assert picture[145:155, 75:85].any() and picture.sum() < 100


def test_points_out_of_reach_are_left_out() -> None:
    far = make_tracks([[(np.nan, 5)], [(np.inf, 5)], [(1e9, -1e9)], [(-300, 900)]])
    assert not changed(draw_tracks(GRAY, far, 0)).any()


@pytest.mark.parametrize("n", [2, 5, 10, 30])
def test_neighbours_do_not_share_a_colour(n: int) -> None:
    tracks = make_tracks(Queries.grid(n, (400, 300)).xy[:, None].tolist())
    colours = point_colours(tracks).reshape(n, n, 3).astype(int)
    for down, right in ((0, 1), (1, 0), (1, 1)):
        apart = np.abs(colours[down:, right:] - colours[: n - down, : n - right]).max(axis=-1)
        assert apart.min() > 50
    assert {*map(tuple, colours.reshape(-1, 3))} <= {*map(tuple, PALETTE.astype(int))}


@settings(deadline=None, max_examples=30)
@given(xy=hnp.arrays(np.float32, st.tuples(st.integers(0, 40), st.just(2)), elements=ANYWHERE))
def test_any_points_have_colours(xy: np.ndarray) -> None:
    tracks = make_tracks(xy[:, None])
    colours = point_colours(tracks)
    assert colours.shape == (len(xy), 3) and colours.dtype == np.uint8
    if len(xy) == 2:
        assert (colours[0] != colours[1]).any()


def test_hidden_points_and_names_are_drawn_as_asked_for() -> None:
    tracks = make_tracks([[(100, 80)], [(300, 200)]], [[True], [False]])
    plain, visible, named = (
        changed(draw_tracks(GRAY, tracks, 0, style))
        for style in (None, DrawingStyle(visible=True), DrawingStyle(names=True))
    )
    assert plain[200, 295:306].any() and not visible[190:210, 290:310].any()
    assert visible[80, 100]
    beside = np.s_[80:100, 104:125]
    assert named[beside].sum() > plain[beside].sum() + 10


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (1920, 1080)])
def test_marks_grow_with_the_resolution_and_have_a_dark_outline(size: tuple[int, int]) -> None:
    ground = np.full((size[1], size[0], 3), 250, np.uint8)
    middle = (size[1] // 2, size[0] // 2)
    spans = []
    for seen in (True, False):
        tracks = make_tracks([[(size[0] / 2 + 0.5, size[1] / 2 + 0.5)]], [[seen]], size)
        picture = draw_tracks(ground, tracks, 0).astype(int)
        row = picture[middle[0]]
        inked = np.flatnonzero(np.abs(row - 250).max(axis=-1) > 30)
        spans.append(inked[-1] - inked[0])
        assert (np.abs(picture[middle] - 250).max() > 30) == seen  # a ring has a hole
        assert row.max(axis=-1).min() < 160  # the outline
    assert all(abs(span - size[1] / 46) < 0.2 * size[1] / 46 + 1.5 for span in spans)
    twice = draw_tracks(ground, make_tracks([[(200, 150)]]), 0, DrawingStyle(size=2))
    once = draw_tracks(ground, make_tracks([[(200, 150)]]), 0)
    assert changed(twice, ground).sum() > 3 * changed(once, ground).sum()


def test_many_points_are_drawn_smaller() -> None:
    few, many = (
        changed(draw_tracks(GRAY, make_tracks([[(200, 150)]] + [[(-900, 0)]] * others), 0)).sum()
        for others in (0, 2000)
    )
    assert many < 0.7 * few


@pytest.mark.parametrize(("field", "value"), [("trail", -1), ("size", 0), ("size", float("nan"))])
def test_a_style_that_cannot_be_is_refused(field: str, value: float) -> None:
    with pytest.raises(UserError, match=field):
        DrawingStyle(**{field: value})


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


def test_points_of_several_groups_are_drawn_by_group() -> None:
    queries = Queries.grid(4, (100, 100))
    names = [
        f"{group}/{number}" for group in ("cat 1", "cat 2", "dog 1/2", "7") for number in "1234"
    ]
    xy = queries.xy[:, None]
    tracks = Tracks(xy, np.ones((16, 1), bool), queries.txy, (100, 100), names=names)
    np.testing.assert_array_equal(point_colours(tracks), np.repeat(group_colours(4), 4, axis=0))
    # Of one group, or where a point is in none, points are told apart by their places.
    assert len(np.unique(point_colours(tracks[:4]), axis=0)) > 1
    for other in ("nose", "left/eye", ""):
        mixed = Tracks(xy, tracks.visible, queries.txy, (100, 100), names=[*names[:-1], other])
        assert (point_colours(mixed) != point_colours(tracks)).any()


def test_colours_of_neighbouring_groups_are_unlike() -> None:
    colours = group_colours(len(PALETTE)).astype(int)
    assert len(np.unique(colours, axis=0)) == len(PALETTE)
    assert np.abs(np.diff(colours, axis=0)).sum(1).min() > 150


def test_image_is_written_as_rgb(tmp_path: Path) -> None:
    picture = np.zeros((5, 7, 3), np.uint8)
    picture[..., 0] = 200
    picture[2, 3] = (1, 2, 3)
    path = write_image(tmp_path / "a.png", picture)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), picture)
    with pytest.raises(UserError, match="cannot write"):
        write_image(tmp_path / "a.png" / "b.png", picture)
