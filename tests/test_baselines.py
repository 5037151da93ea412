"""The classical trackers, on content whose motion is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tracker.baselines import LucasKanadeTracker, StaticTracker
from tracker.errors import UserError
from tracker.points.geometry import inside_frame
from tracker.points.queries import Queries
from tracker.video.video import Video

SIZE = (96, 72)
LENGTH = 12


@pytest.fixture(scope="module")
def video(make_frames: Callable[..., np.ndarray]) -> Video:
    """Content moves one pixel to the right per frame."""
    return Video.from_array(make_frames(LENGTH, SIZE))


def truth(queries: Queries) -> np.ndarray:
    """Return `(N, T, 2)`: where the content of each query is."""
    xy = np.repeat(queries.xy[:, None], LENGTH, axis=1)
    xy[..., 0] += np.arange(LENGTH) - queries.txy[:, :1]
    return xy


@settings(deadline=None, max_examples=20)
@given(
    st.lists(
        st.tuples(st.integers(0, LENGTH - 1), st.floats(30, 60), st.floats(20, 50)),
        min_size=1,
        max_size=6,
    )
)
def test_lk_follows_both_ways_in_time(video: Video, points: list[tuple]) -> None:
    queries = Queries(np.array(points))
    tracks = LucasKanadeTracker().track(video, queries)
    assert np.abs(tracks.xy - truth(queries)).max() < 0.2
    assert tracks.visible.all()
    assert (tracks.size, tracks.fps) == (SIZE, 24.0)


@pytest.mark.parametrize("tracker", [StaticTracker(), LucasKanadeTracker()])
def test_tracks_keep_the_names(tracker: StaticTracker | LucasKanadeTracker, video: Video) -> None:
    queries = Queries([[3, 10, 20], [0, 30, 40]], ["eye", "tail"])
    assert tracker.track(video, queries).names == ("eye", "tail")


@settings(deadline=None, max_examples=15)
@given(times=st.lists(st.integers(0, LENGTH - 1), min_size=2, max_size=4), data=st.data())
def test_a_point_of_several_anchors_is_one_track_through_all_of_them(
    video: Video, times: list[int], data: st.DataObject
) -> None:
    times = sorted(set(times))
    rows = [[t, 30.5 + t, 40.25] for t in times] + [[2, 50, 30]]
    queries = Queries(rows, [*["eye"] * len(times), "tail"])
    order = data.draw(st.permutations(range(len(rows))))
    for tracker in (LucasKanadeTracker(), StaticTracker()):
        tracks = tracker.track(video, queries)
        assert tracks.names == ("eye", "tail") and len(tracks) == 2
        np.testing.assert_array_equal(tracks.xy[0, times], queries.xy[:-1])
        assert tracker.track(video, queries[order])["eye"] == tracks["eye"]
    assert np.abs(LucasKanadeTracker().track(video, queries).xy[0] - truth(queries[:1])).max() < 0.2


@pytest.mark.parametrize("tracker", [StaticTracker(), LucasKanadeTracker()])
def test_progress_may_be_a_function_or_a_bar(
    tracker: StaticTracker | LucasKanadeTracker, video: Video
) -> None:
    queries = Queries([[3, 10, 20]])
    steps: list[tuple[int, int]] = []
    tracks = tracker.track(video, queries, lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1]
    assert tracker.track(video, queries, progress=True) == tracks


def test_static_stays_put(video: Video) -> None:
    queries = Queries(np.array([[3, 10.25, 20.5], [0, 96, 72]]))
    tracks = StaticTracker().track(video, queries)
    assert (tracks.xy == queries.xy[:, None]).all() and tracks.visible.all()
    np.testing.assert_array_equal(tracks.queries, queries.txy)


@pytest.mark.parametrize("tracker", [StaticTracker(), LucasKanadeTracker()])
def test_a_track_passes_through_its_query(
    tracker: StaticTracker | LucasKanadeTracker, video: Video
) -> None:
    queries = Queries(np.array([[5, 33.3, 44.4], [0, 0, 0], [11, 95.9, 71.9]]))
    tracks = tracker.track(video, queries)
    for track, (t, x, y) in zip(tracks.xy, queries.txy, strict=True):
        np.testing.assert_array_equal(track[int(t)], [x, y])
    assert tracks.visible[np.arange(3), queries.t].all()
    assert np.isfinite(tracks.xy).all()


def test_lk_hides_points_that_leave_the_frame(video: Video) -> None:
    tracks = LucasKanadeTracker().track(video, Queries(np.array([[0, 90.0, 36.0]])))
    inside = inside_frame(tracks.xy, SIZE)
    assert tracks.visible[0, :4].all() and not tracks.visible[0, 7:].any()
    assert not (tracks.visible & ~inside).any()
    assert (tracks.confidence[~tracks.visible] == 0).all()


def test_lk_hides_points_whose_content_is_gone(
    video: Video, make_frames: Callable[..., np.ndarray]
) -> None:
    frames = video.read().copy()
    frames[6:] = make_frames(LENGTH, SIZE, seed=9)[6:]  # another scene
    tracks = LucasKanadeTracker().track(Video.from_array(frames), Queries.grid(5, SIZE))
    assert tracks.visible[:, :3].mean() > 0.9
    assert tracks.visible[:, 6:].mean() < 0.3
    # What is lost stays lost, and confidence never recovers.
    assert (np.diff(tracks.confidence, axis=1) <= 0).all()
    assert ((tracks.confidence >= 0) & (tracks.confidence <= 1)).all()


def test_points_do_not_influence_each_other(video: Video) -> None:
    queries = Queries(np.array([[0, 30, 30], [4, 50, 40], [11, 20.5, 60]]))
    together = LucasKanadeTracker().track(video, queries)
    for point in range(3):
        alone = LucasKanadeTracker().track(video, queries[point : point + 1])
        assert alone == together.select_points([point])


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (9, 9), (200, 2)])
@pytest.mark.parametrize("length", [1, 2])
def test_lk_takes_the_smallest_videos(size: tuple[int, int], length: int) -> None:
    width, height = size
    video = Video.from_array(np.zeros((length, height, width, 3), np.uint8))
    tracks = LucasKanadeTracker().track(video, Queries.grid(2, size, t=length - 1))
    assert tracks.xy.shape == (4, length, 2) and np.isfinite(tracks.xy).all()


def test_lk_reports_its_progress(video: Video) -> None:
    seen: list[tuple[int, int]] = []
    queries = Queries(np.array([[3, 30, 30], [8, 40, 40]]))
    LucasKanadeTracker().track(video, queries, lambda done, total: seen.append((done, total)))
    done = [d for d, _ in seen]
    assert done == sorted(done) and seen[-1][0] == seen[-1][1]
    assert len({total for _, total in seen}) == 1


@pytest.mark.parametrize("tracker", [StaticTracker(), LucasKanadeTracker()])
@pytest.mark.parametrize("txy", [[[0, 97, 1]], [[12, 1, 1]], np.empty((0, 3))])
def test_queries_that_do_not_fit_are_refused(
    tracker: StaticTracker | LucasKanadeTracker, txy: list, video: Video
) -> None:
    with pytest.raises(UserError):
        tracker.track(video, Queries(np.array(txy)))


@pytest.mark.parametrize("tracker", [StaticTracker(), LucasKanadeTracker()])
def test_videos_and_points_are_taken_as_people_have_them(
    video: Video, tracker: StaticTracker | LucasKanadeTracker
) -> None:
    frames = video.read()
    channels_first = torch.from_numpy(frames).permute(0, 3, 1, 2)
    expected = tracker.track(video, Queries([[2, 40, 30]], ["eye"]))
    table = pd.DataFrame({"name": ["eye"], "x": [40], "y": [30], "t": [2]})
    pictures = [Image.fromarray(frame) for frame in frames]
    for held in (frames, channels_first, channels_first / 255, pictures, list(frames)):
        assert tracker.track(held, table) == expected
    assert tracker.track(frames, np.array([[2, 40, 30]]))[0].names is None
