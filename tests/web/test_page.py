"""The page in a real browser, from upload to download."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gradio", reason="needs the extra web")
pytest.importorskip("playwright", reason="needs the extra test")

from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.video.loading import load_video
from tracker.video.writing import write_video

pytestmark = pytest.mark.slow


@pytest.fixture
def small_clip(tmp_path: Path, make_frames: Callable) -> Path:
    path = tmp_path / "moving noise.mp4"
    write_video(path, make_frames(12, (96, 80)), fps=10)
    return path


def test_upload_click_track_correct_and_download(visitors: Callable, small_clip: Path) -> None:
    visitor = visitors()
    page = visitor.page
    visitor.upload(small_clip)
    visitor.click(*visitor.screen_of(30.5, 40.5))
    visitor.go(6)
    visitor.click(*visitor.screen_of(60.5, 30.5))
    visitor.track()
    # Put the first point right in frame 8, with the mouse.
    visitor.go(8)
    first = visitor.visit.work.tracks()
    visitor.drag(tuple(first.xy[0, 8]), tuple(first.xy[0, 8] + (12, -9)))
    page.wait_for_function("window.stage.scene.points[0].marks.length === 2")
    visitor.track()
    page.click("#kind input")
    page.get_by_role("option", name=re.compile(r"^\W*csv: ")).click()
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "moving noise-tracks.csv"
    got = Tracks.load(download.value.path().rename(small_clip.with_name("got.csv")))

    np.testing.assert_allclose(got.queries, [[0, 30.5, 40.5], [6, 60.5, 30.5]], atol=0.1)
    (_, (t, place)) = visitor.visit.work.board.points[0].marks
    assert t == 8
    np.testing.assert_allclose(place, first.xy[0, 8] + (12, -9), atol=0.2)
    session = visitor.site.tracker.open(load_video(small_clip))
    session.track(Queries(got.queries, got.names))
    expected = session.correct("point 1", t, *place)
    np.testing.assert_allclose(got.xy, expected.xy, atol=0.02)
    np.testing.assert_allclose(got.xy[0, 8], place, atol=1e-3)
    np.testing.assert_array_equal(got.visible, expected.visible)
    assert got.names == ("point 1", "point 2")
    assert (got.size, got.fps) == ((96, 80), 10)
    assert not visitor.errors
    assert all(url.startswith((visitor.site.address, "data:", "blob:")) for url in visitor.asked)


@pytest.mark.parametrize(
    ("size", "corner", "side", "ratio"),
    [
        ((16, 12), (5, 3), 1, 1.0),
        ((16, 12), (15, 0), 1, 2.0),
        ((30, 90), (7, 80), 1, 1.25),
        ((400, 225), (300, 30), 6, 1.0),
    ],
    ids=["tiny", "tiny-corner-fine-screen", "portrait", "wide"],
)
def test_clicks_land_on_the_pixel_that_is_seen(
    visitors: Callable,
    dotted: Callable,
    size: tuple[int, int],
    corner: tuple[int, int],
    side: int,
    ratio: float,
) -> None:
    visitor = visitors(device_scale_factor=ratio)
    visitor.upload(dotted(size, corner, side))
    canvas = visitor.page.locator("#stage-canvas").bounding_box()
    # As it fits, at a larger scale, and at another place: what is under the pointer stays.
    for turns in (0, -200, -150):
        if turns:
            before = visitor.page.evaluate("window.stage.lens.scale")
            visitor.page.mouse.move(*visitor.bright_place())
            visitor.page.mouse.wheel(0, turns)
            visitor.page.wait_for_function(f"window.stage.lens.scale > {before}")
        visitor.click(*visitor.bright_place())
        (point,) = visitor.visit.work.board.points
        ((t, place),) = point.marks
        assert t == 0
        assert (np.floor(np.subtract(place, corner)) // side == 0).all()
        if not turns:  # at a larger scale a part of it may lie outside the canvas
            scale = visitor.page.evaluate("window.stage.lens.scale")
            atol = 1 / scale + 0.05  # one pixel of the screen
            np.testing.assert_allclose(place, np.add(corner, side / 2), atol=atol)
        visitor.page.keyboard.press("Control+z")
        visitor.page.wait_for_function("window.stage.scene.points.length === 0")
    assert canvas["width"] / canvas["height"] >= 0.5 and not visitor.errors


def test_a_run_can_be_stopped(
    visitors: Callable, dotted: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = visitors()
    visitor.upload(dotted((16, 12), (5, 3)))
    visitor.click(*visitor.screen_of(8, 6))

    def endless(queries: Queries, reach: np.ndarray, progress: Callable[[int, int], None]) -> None:
        while True:
            progress(1, 4)
            time.sleep(0.1)

    monkeypatch.setattr(visitor.visit.work, "_follow", endless)
    visitor.page.click("#track")
    visitor.page.wait_for_function(
        "document.getElementById('status').textContent.includes('25.0%')"
    )
    visitor.page.click("#stop")
    visitor.page.wait_for_function(
        "document.getElementById('status').textContent.includes('stopped')"
    )
    assert not visitor.page.evaluate("window.stage.scene.points[0].isTracked")


def test_what_is_no_video_is_refused_and_leaves_nothing(
    visitors: Callable, tmp_path: Path, write_damaged: Callable, make_frames: Callable
) -> None:
    visitor = visitors()

    def refuse(path: Path, word: str) -> str:
        visitor.page.set_input_files("#stage-file", path)
        return visitor.refusal(word)

    (tmp_path / "notes.mp4").write_text("#EXTM3U\n/etc/passwd\n")
    assert "text" in refuse(tmp_path / "notes.mp4", "notes.mp4")
    (tmp_path / "noise.mp4").write_bytes(bytes(np.random.default_rng(0).bytes(5000)))
    line = refuse(tmp_path / "noise.mp4", "noise.mp4")
    assert "not a video" in line and str(visitor.site.folder) not in line
    np.save(tmp_path / "long.npy", np.zeros((41, 8, 8, 3), np.uint8))
    assert "40" in refuse(tmp_path / "long.npy", "41 frames")
    np.save(tmp_path / "large.npy", np.zeros((10, 200, 200, 3), np.uint8))
    assert "1 MB" in refuse(tmp_path / "large.npy", "larger")
    assert not list(visitor.visit.folder.rglob("*.*"))
    # One that breaks off in the middle is shown up to there, and says so.
    write_damaged(tmp_path / "damaged.mp4")
    visitor.upload(tmp_path / "damaged.mp4")
    visitor.page.evaluate("window.stage.go(window.stage.scene.video.frames - 1)")
    assert "decoded" in visitor.refusal("damaged.mp4")
    assert not visitor.errors


def test_visitors_do_not_mix_and_take_their_files_along(
    visitors: Callable, small_clip: Path, dotted: Callable
) -> None:
    one, other = visitors(), visitors()
    one.upload(small_clip)
    one.click(*one.screen_of(20.5, 20.5))
    assert other.page.evaluate("window.stage.scene.video") is None
    other.upload(dotted((16, 12), (5, 3)))
    other.paint((3.5, 4.5), (8.5, 4.5))
    other.page.click("#stage-add")
    other.page.wait_for_function("window.stage.scene.points.length > 0")
    painted = [point.marks[0][1] for point in other.visit.work.board.points]
    assert all(3 <= x <= 9 and 3.5 <= y <= 5.5 for x, y in painted) and len(painted) > 4
    assert len(one.visit.work.board.points) == 1
    assert one.visit.token != other.visit.token
    folder = one.visit.folder
    assert list(folder.rglob("*.mp4"))
    one.page.context.close()
    deadline = time.monotonic() + 300
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not folder.exists() and other.visit.folder.exists()
    assert one.visit.token and one.site.visits.find(one.visit.token) is None
