"""A run of `track` decodes each frame once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import tiny_tracker

from tracker.cli.options.outputs import choose_files
from tracker.cli.tracking.jobs import Job, track_video
from tracker.cli.tracking.passing import OnePass
from tracker.errors import UserError
from tracker.points.drawing import DrawingStyle
from tracker.points.queries import Queries
from tracker.registry import make_tracker
from tracker.tracking.tracker import PointTracker
from tracker.video import decoder, passing
from tracker.video.loading import load_video
from tracker.video.video import Video

STYLE = DrawingStyle()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by a number with each frame that is decoded."""
    frames: list[int] = []
    decode = decoder._good_frames

    def counted(*args: Any) -> Iterator[Any]:
        for frame in decode(*args):
            frames.append(len(frames))
            yield frame

    monkeypatch.setattr(decoder, "_good_frames", counted)
    return frames


@pytest.fixture
def few_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold ten frames of the clip at most."""
    monkeypatch.setattr(passing, "HELD_BYTES", 10 * 64 * 48 * 3)


@pytest.fixture(scope="module")
def tracker() -> PointTracker:
    """A tiny one, which follows blocks of 8 frames."""
    return tiny_tracker()


def run(clip: Path | Video, out: Path, tracker: Any, queries: Queries) -> Job:
    job = Job("clip", load_video(clip), queries, choose_files(str(out), None, False, out))
    track_video(job, tracker, "tiny", STYLE)
    return job


@pytest.mark.usefixtures("few_held")
def test_each_frame_is_decoded_once(
    clip: Path, tmp_path: Path, decoded: list[int], tracker: PointTracker
) -> None:
    job = run(clip, tmp_path / "out", tracker, Queries.grid(2, (64, 48)))
    assert tracker.config.inference.block < 10 < len(job.video)
    assert len(job.video) <= len(decoded) <= 1.1 * len(job.video)
    assert len(load_video(tmp_path / "out" / "tracks.mp4")) == len(job.video)


@pytest.mark.usefixtures("few_held")
def test_where_points_are_followed_backwards_frames_are_read_again(
    clip: Path, tmp_path: Path, decoded: list[int], tracker: PointTracker
) -> None:
    job = run(clip, tmp_path / "out", tracker, Queries([[0, 20, 20], [40, 30, 30]]))
    assert len(decoded) <= 3.1 * len(job.video)  # on, back, and on again to be drawn
    assert len(load_video(tmp_path / "out" / "tracks.mp4")) == len(job.video)


@pytest.mark.parametrize("name", ["static", "lk"])
def test_what_is_short_is_decoded_once_by_any_tracker(
    name: str, clip: Path, tmp_path: Path, decoded: list[int]
) -> None:
    job = run(clip, tmp_path / name, make_tracker(name), Queries([[5, 20, 20], [40, 30, 30]]))
    assert len(decoded) <= 1.1 * len(job.video)


def test_what_is_drawn_on_the_way_is_what_would_be_drawn_at_the_end(
    clip: Path, tmp_path: Path, tracker: PointTracker
) -> None:
    queries, short = Queries.grid(2, (64, 48)), load_video(clip, stop=20)
    job = run(short, tmp_path / "out", tracker, queries)
    tracks = tracker.track(short, queries)
    tracks.render(short, tmp_path / "later.mp4")
    drawn, later = (
        load_video(p).read()
        for p in (tmp_path / "later.mp4", *job.files.paths)
        if p.suffix == ".mp4"
    )
    np.testing.assert_array_equal(drawn, later)


def test_a_failure_leaves_no_drawing(clip: Path, tmp_path: Path, tracker: PointTracker) -> None:
    files = choose_files(str(tmp_path / "tracks.mp4"), None, False, tmp_path)

    def stop(done: int, total: int) -> None:
        if done > 30:
            raise UserError("enough")

    with pytest.raises(UserError, match="enough"), OnePass(load_video(clip), files, STYLE) as once:
        once.track(tracker, Queries.grid(2, (64, 48)), stop)
    assert list(tmp_path.iterdir()) == []
