"""What a visitor does on the canvas and round it, in a real browser."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("gradio", reason="needs the extra web")
pytest.importorskip("playwright", reason="needs the extra test")

from tracker.points.tracks import Tracks
from tracker.web.drawing import confidence_colours

if TYPE_CHECKING:
    from tests.web.conftest import Visitor

pytestmark = pytest.mark.slow

SIZE = (96, 80)


@pytest.fixture
def visitor(resident: Visitor, tmp_path: Path, make_frames: Callable) -> Visitor:
    """A visitor who has just opened six frames that move by a pixel each."""
    np.save(tmp_path / "six.npy", make_frames(6, SIZE))
    resident.page.uncheck("#stage-mask")
    resident.upload(tmp_path / "six.npy")
    resident.errors.clear()
    return resident


def slide(visitor: Visitor, label: str, value: float) -> None:
    """Set one of Gradio's sliders by the number beside it."""
    field = visitor.page.get_by_label(f"number input for {label}")
    field.fill(str(value))
    field.press("Enter")


def test_the_other_button_hides_forgets_and_deletes(visitor: Visitor) -> None:
    page = visitor.page
    visitor.click(*visitor.screen_of(30.5, 40.5))
    visitor.track()
    visitor.go(3)
    where = visitor.visit.work.tracks().xy[0, 3]

    def choose(words: str, length: int) -> None:
        page.mouse.click(*visitor.screen_of(*where), button="right")
        page.get_by_role("button", name=words).click()
        visitor.wait(f"stage.scene.points[0]?.marks.length === {length}")

    choose("Hidden in this frame", 2)
    assert visitor.points[0].marks[1] == (3, None)
    visitor.track()
    assert not visitor.visit.work.tracks().visible[0, 3]
    choose("Forget this frame's mark", 1)
    assert page.locator("#stage-menu").is_hidden()
    page.mouse.click(*visitor.screen_of(*where), button="right")
    page.keyboard.press("Escape")
    assert page.locator("#stage-menu").is_hidden()
    page.mouse.click(*visitor.screen_of(*where), button="right")
    page.get_by_role("button", name="Delete the point").click()
    visitor.wait("stage.scene.points.length === 0")
    assert not visitor.points and not visitor.errors


def test_keys_hide_delete_and_go_on(visitor: Visitor) -> None:
    page = visitor.page
    visitor.click(*visitor.screen_of(30.5, 40.5))
    page.keyboard.press("ArrowRight")
    visitor.wait("stage.shown === 1")
    page.keyboard.press("h")
    visitor.wait("stage.scene.points[0].marks.length === 2")
    assert visitor.points[0].marks[1] == (1, None)
    page.keyboard.press("Delete")
    visitor.wait("stage.scene.points.length === 0")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    visitor.wait("stage.scene.points[0]?.marks.length === 1")
    page.keyboard.press(" ")
    visitor.wait("!stage.isPlaying && stage.shown === 5")


def test_a_drag_on_a_point_moves_it_and_elsewhere_the_video(visitor: Visitor) -> None:
    visitor.click(*visitor.screen_of(30.5, 40.5))
    visitor.drag((30.5, 40.5), (50.5, 20.5))
    visitor.wait("stage.scene.points[0].marks[0][1] > 45")
    ((_, place),) = visitor.points[0].marks
    np.testing.assert_allclose(place, (50.5, 20.5), atol=0.3)
    before = visitor.screen_of(10, 10)
    visitor.drag((10.5, 60.5), (20.5, 65.5))
    after = visitor.screen_of(10, 10)
    scale = visitor.page.evaluate("window.stage.lens.scale")
    np.testing.assert_allclose(np.subtract(after, before), (10 * scale, 5 * scale), atol=1.5)
    assert len(visitor.points) == 1, "a drag is no click"
    visitor.page.click("#stage-fit")
    np.testing.assert_allclose(visitor.screen_of(10, 10), before)
    visitor.page.click("#stage-full")
    assert visitor.page.evaluate("window.stage.lens.scale") == 1


def test_play_and_scrub(visitor: Visitor) -> None:
    page = visitor.page
    page.click("#stage-next")
    visitor.wait("stage.shown === 1")
    page.focus("#stage-scrub")
    page.keyboard.press("End")
    visitor.wait("stage.shown === 5")
    assert page.inner_text("#stage-frame") == "5 / 5"
    page.evaluate("""() => {
        window.seen = [];
        const go = window.stage.go.bind(window.stage);
        window.stage.go = t => { window.seen.push(t); return go(t); };
    }""")
    page.click("#stage-play")  # at the end it begins anew
    visitor.wait("!stage.isPlaying && stage.shown === 5 && window.seen.length > 1")
    assert page.evaluate("window.seen") == [0, 1, 2, 3, 4, 5]
    assert page.inner_text("#stage-play") == "Play"
    page.focus("#stage-screen")
    page.keyboard.press("ArrowLeft")
    visitor.wait("stage.shown === 4")
    page.click("#stage-plot", position={"x": 46, "y": 50})
    visitor.wait("stage.shown === 0")
    page.evaluate("delete window.stage.go")
    assert not visitor.errors


def test_a_dropped_file_is_opened(visitor: Visitor, dotted: Callable) -> None:
    data = base64.b64encode(dotted((16, 12), (5, 3)).read_bytes()).decode()
    transfer = visitor.page.evaluate_handle(
        """data => {
            const transfer = new DataTransfer();
            const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
            transfer.items.add(new File([bytes], "dropped.npy"));
            return transfer;
        }""",
        data,
    )
    visitor.page.dispatch_event("#stage-canvas", "dragover", {"dataTransfer": transfer})
    assert visitor.page.locator("#stage-screen.is-target").count() == 1
    visitor.page.dispatch_event("#stage-canvas", "drop", {"dataTransfer": transfer})
    visitor.wait("stage.scene.video.name === 'dropped.npy' && stage.shown === 0")
    assert visitor.visit.work.size == (16, 12)


def test_names_colours_and_undo(visitor: Visitor) -> None:
    page = visitor.page
    visitor.click(*visitor.screen_of(30.5, 40.5))
    visitor.click(*visitor.screen_of(60.5, 20.5))
    row = page.locator("#stage-points > div").nth(1)
    row.locator("input[type=text]").fill("left <b>eye")
    row.locator("input[type=text]").press("Enter")
    visitor.wait("stage.scene.points[1].name === 'left <b>eye'")
    row.locator("input[type=color]").evaluate(
        "field => { field.value = '#12ab34'; field.dispatchEvent(new Event('change')); }"
    )
    visitor.wait("stage.scene.points[1].colour === '#12ab34'")
    point = visitor.points[1]
    assert (point.name, point.colour) == ("left <b>eye", "#12ab34")
    assert visitor.pixel(60.5, 20.5) == (0x12, 0xAB, 0x34)
    for left in (3, 2, 1, 0):
        page.click("#stage-undo")
        visitor.wait(f"stage.scene.points.length === {min(left, 2)}") if left < 3 else None
    visitor.wait("stage.scene.points.length === 0 && !stage.scene.canUndo")
    assert page.is_disabled("#stage-undo") and not visitor.points


@pytest.mark.parametrize(("source", "count"), [("grid", 9), ("corners", 3)])
def test_sources_put_points_on_the_frame_that_is_shown(
    visitor: Visitor, source: str, count: int
) -> None:
    page = visitor.page
    visitor.go(2)
    page.select_option("#stage-source", source)
    page.fill("#stage-n", "3")
    page.click("#stage-add")
    visitor.wait(f"stage.scene.points.length === {count}")
    assert all(t == 2 for point in visitor.points for t, _ in point.marks)
    page.click("#stage-clear")
    visitor.wait("stage.scene.points.length === 0")
    page.check("#stage-mask")
    page.click("#stage-add")
    assert "Nothing is painted" in visitor.refusal("painted")
    page.fill("#stage-brush", "60")
    visitor.paint((20.5, 20.5), (40.5, 30.5))
    page.click("#stage-add")
    visitor.wait("stage.scene.points.length > 0")
    assert all(5 < x < 55 and 5 < y < 45 for p in visitor.points for _, (x, y) in p.marks)
    page.fill("#stage-n", "900")
    page.click("#stage-add")
    assert visitor.refusal("many") and not visitor.errors


def test_certainty_says_what_is_shown_plotted_and_downloaded(
    visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    visitor.click(*visitor.screen_of(30.5, 40.5))
    visitor.track()
    plot = "window.stage.get('plot').toDataURL()"
    chosen = page.evaluate(plot)
    page.evaluate("window.stage.choose(null)")
    assert page.evaluate(plot) != chosen
    slide(visitor, "Show from certainty", 0.99)
    visitor.wait("stage.settings.certainty === 0.99")
    page.click("#kind input")
    page.get_by_role("option", name=re.compile(r"^\W*npz: ")).click()
    with page.expect_download() as download:
        page.click("#download")
    tracks = Tracks.load(download.value.path().rename(tmp_path / "tracks.npz"))
    np.testing.assert_array_equal(tracks.visible, tracks.confidence > 0.99)
    slide(visitor, "Show from certainty", 0.25)
    visitor.wait("stage.settings.certainty === 0.25")


def test_trails_and_confidence_are_drawn(visitor: Visitor) -> None:
    page = visitor.page
    visitor.click(*visitor.screen_of(30.5, 40.5))
    visitor.track()
    visitor.go(5)
    tracks = visitor.visit.work.tracks()
    picture = "window.stage.canvas.toDataURL()"
    with_trail = page.evaluate(picture)
    slide(visitor, "Trail, frames", 0)
    visitor.wait("stage.settings.trail === 0")
    assert page.evaluate(picture) != with_trail
    page.get_by_label("Colour by confidence").check()
    visitor.wait("stage.settings.byConfidence")
    expected = confidence_colours(tracks.confidence[:1, 5])[0]
    np.testing.assert_allclose(visitor.pixel(*tracks.xy[0, 5]), expected, atol=1)
    page.get_by_label("Colour by confidence").uncheck()
    slide(visitor, "Trail, frames", 12)
    visitor.wait("stage.settings.trail === 12 && !stage.settings.byConfidence")


def test_clicks_side_by_side_land_in_either_panel(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_label("Side by side").check()
    visitor.wait("stage.settings.sideBySide && stage.lens.panel[0] < stage.canvas.clientWidth")
    x, y = visitor.screen_of(30.5, 40.5)
    visitor.click(x, y)
    panel = page.evaluate("window.stage.lens.panel[0]")
    visitor.click(*np.add(visitor.screen_of(60.5, 20.5), (panel, 0)))
    places = [point.marks[0][1] for point in visitor.points]
    np.testing.assert_allclose(places, [(30.5, 40.5), (60.5, 20.5)], atol=0.3)
    page.get_by_label("Side by side").uncheck()
    visitor.wait("!stage.settings.sideBySide")


def test_a_path_is_opened_and_one_that_is_not_there_is_told(
    visitor: Visitor, clip: Path, tmp_path: Path
) -> None:
    page = visitor.page
    page.fill("#path textarea, #path input", str(tmp_path / "nothing.mp4"))
    page.click("#open")
    page.get_by_text("nothing.mp4").last.wait_for()
    assert visitor.visit.work.name == "six.npy"
    short = tmp_path / "short.npy"
    np.save(short, np.zeros((2, 8, 8, 3), np.uint8))
    page.fill("#path textarea, #path input", str(short))
    page.click("#open")
    visitor.wait("stage.scene.video.name === 'short.npy'")
    assert short.exists()
