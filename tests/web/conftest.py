"""A server of the page in this process, and a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tracker.registry import make_tracker
from tracker.web.limits import Limits
from tracker.web.visits import Visits
from tracker.web.work import first_certainty

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tracker.web.board import Point

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

LIMITS = Limits(upload=2**20, frames=40, points=100, visitors=4)

SECONDS = 180_000  # milliseconds that anything may take; a busy machine is slow


@pytest.fixture
def lk_visits(tmp_path: Path) -> Visits:
    """Visitors whose points are followed by optical flow, with small limits."""
    return Visits(tmp_path / "visits", make_tracker("lk"), LIMITS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here; get it with: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield chromium
        chromium.close()


class Site:
    """The page as it is served, with what its server knows.

    Args:
        folder: of the visitors' files.
    """

    def __init__(self, folder: Path) -> None:
        from tracker.web.page import build_page, serve

        self.folder = folder
        self.tracker = make_tracker("vjepa", device="cpu")
        self.visits = Visits(folder, self.tracker, LIMITS)
        certainty = first_certainty(self.tracker)
        self.page = build_page(self.visits, certainty, may_name_paths=True)
        self.address = serve(self.page, self.visits, "127.0.0.1", 0, share=False, is_quiet=True)


@pytest.fixture(scope="session")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("visits"))
    yield site
    site.page.close(verbose=False)


class Visitor:
    """Somebody at the page.

    Args:
        site: that they see.
        page: of their browser.
    """

    def __init__(self, site: Site, page: Page) -> None:
        self.site, self.page = site, page
        self.asked: list[str] = []
        self.errors: list[str] = []
        page.set_default_timeout(SECONDS)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(site.address)
        page.wait_for_function("window.stage?.server && window.stage.canvas")
        page.wait_for_function("document.getElementById('stage-undo').disabled")
        token = page.evaluate("window.stage.server.base").rstrip("/").split("/")[-1]
        found = site.visits.find(token)
        assert found is not None
        self.visit = found

    def upload(self, path: Path) -> None:
        """Choose a file, and wait until its first frame is shown."""
        before = self.page.evaluate("window.stage.scene.video?.number ?? 0")
        self.page.set_input_files("#stage-file", path)
        self.page.wait_for_function(
            f"window.stage.scene.video?.number > {before} && window.stage.shown === 0"
        )

    def refusal(self, word: str) -> str:
        """Wait for the message of an error with this word in it, and return it."""
        self.page.wait_for_function(
            f"document.querySelector('#stage-message.is-error')?.textContent.includes({word!r})"
        )
        return self.page.inner_text("#stage-message")

    def go(self, t: int) -> None:
        """Go to a frame."""
        self.page.evaluate(f"window.stage.go({t})")
        self.page.wait_for_function(f"window.stage.shown === {t}")

    def bright_place(self) -> tuple[float, float]:
        """Return where the picture is bright, in CSS pixels of the page, from what is shown."""
        import io

        from PIL import Image

        box = self.page.locator("#stage-canvas").bounding_box()
        assert box is not None
        left, top = np.floor([box["x"], box["y"]])
        right, bottom = np.ceil([box["x"] + box["width"], box["y"] + box["height"]])
        clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        with Image.open(io.BytesIO(self.page.screenshot(clip=clip))) as image:
            gray = np.asarray(image.convert("L")).astype(float)
        ratio = gray.shape[1] / clip["width"]
        y, x = (np.indices(gray.shape) + 0.5) / ratio + np.reshape([top, left], (2, 1, 1))
        # The canvas may begin within a pixel of the screen, which then shows the page as well.
        inside = (x > box["x"] + 1) & (x < box["x"] + box["width"] - 1)
        inside &= (y > box["y"] + 1) & (y < box["y"] + box["height"] - 1)
        weight = np.where(inside & (gray > 128), gray, 0)
        return tuple(float((axis * weight).sum() / weight.sum()) for axis in (x, y))

    def screen_of(self, x: float, y: float) -> tuple[float, float]:
        """Return where a place of the video is, in CSS pixels of the page."""
        left, top = self.page.evaluate(f"window.stage.lens.toScreen({x}, {y})")
        box = self.page.locator("#stage-canvas").bounding_box()
        assert box is not None
        return box["x"] + left, box["y"] + top

    def click(self, x: float, y: float) -> None:
        """Click on the page, and wait until there is a point more."""
        count = len(self.visit.work.board.points)
        self.page.mouse.click(x, y)
        self.page.wait_for_function(f"window.stage.scene.points.length === {count + 1}")

    def paint(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Paint a mask from one place of the video to another."""
        self.page.check("#stage-mask")
        self.drag(start, end)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the mouse from one place of the video to another."""
        self.page.mouse.move(*self.screen_of(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.screen_of(*end), steps=4)
        self.page.mouse.up()

    def pixel(self, x: float, y: float) -> tuple[int, ...]:
        """Return red, green and blue that the canvas has at a place of the video."""
        drawn = """([x, y]) => {
            const {canvas, lens} = window.stage, context = canvas.getContext("2d");
            const ratio = canvas.width / canvas.getBoundingClientRect().width;
            const place = lens.toScreen(x, y).map(side => Math.floor(side * ratio));
            return [...context.getImageData(...place, 1, 1).data].slice(0, 3);
        }"""
        return tuple(self.page.evaluate(drawn, [float(x), float(y)]))

    def wait(self, condition: str) -> None:
        """Wait until something is so; `stage` is the page's."""
        self.page.wait_for_function(f"(stage => {condition})(window.stage)")

    @property
    def points(self) -> tuple[Point, ...]:
        """The visitor's points, as the server has them."""
        return self.visit.work.board.points

    def track(self) -> None:
        """Press Track, and wait until all points are followed."""
        self.page.click("#track")
        self.page.wait_for_function("window.stage.scene.points.every(point => point.isTracked)")
        self.page.wait_for_function("window.stage.tracks !== null")


@pytest.fixture
def visitors(browser: Browser, site: Site) -> Iterator[Callable[..., Visitor]]:
    """Let somebody come to the page, with a browser of their own; they leave at the end."""
    contexts = []

    def come(**options: object) -> Visitor:
        size = {"width": 1100, "height": 800}
        contexts.append(browser.new_context(viewport=size, **options))
        return Visitor(site, contexts[-1].new_page())

    yield come
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def resident(browser: Browser, site: Site) -> Iterator[Visitor]:
    """Somebody whose page stays open for all tests of a module; a video is opened anew in each."""
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    yield Visitor(site, context.new_page())
    context.close()


@pytest.fixture
def dotted(tmp_path: Path) -> Callable[..., Path]:
    """Write a black video of which one block of pixels is white."""

    def write(size: tuple[int, int], corner: tuple[int, int], side: int = 1) -> Path:
        width, height = size
        frames = np.zeros((3, height, width, 3), np.uint8)
        x, y = corner
        frames[:, y : y + side, x : x + side] = 255
        path = tmp_path / f"dot{width}x{height}.npy"
        np.save(path, frames)
        return path

    return write
