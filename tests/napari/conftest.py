"""napari without a window: its model of a viewer, and Qt that draws nowhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from napari.layers import Image, Points
    from qtpy.QtWidgets import QApplication

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("NAPARI_CONFIG", "")  # not the settings of who runs this

SECONDS = 180.0
"""That anything may take; a busy machine is slow."""


@pytest.fixture(scope="session")
def qt() -> QApplication:
    pytest.importorskip("napari.layers", reason="needs the extra napari")
    reason = "Qt cannot be loaded; .ci/run names the libraries of the system that it needs"
    widgets = pytest.importorskip("qtpy.QtWidgets", reason=reason, exc_type=ImportError)
    return widgets.QApplication.instance() or widgets.QApplication([])


@pytest.fixture
def lines(qt: QApplication, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The errors that the user is told of."""
    told: list[str] = []
    monkeypatch.setattr("tracker.napari.widget.show_error", told.append)
    return told


class Desk:
    """A viewer with a video and the widget.

    Args:
        qt: the application.
        told: errors that the user was told of.
        frames: `(T, H, W, 3) uint8`.
        options: of the video's layer.
    """

    def __init__(self, qt: QApplication, told: list[str], frames: Any, **options: Any) -> None:
        from napari.components import ViewerModel

        from tracker.napari.widget import TrackWidget

        self.qt, self.told = qt, told
        self.viewer = ViewerModel()
        self.video: Image = self.viewer.add_image(frames, rgb=True, name="clip", **options)
        self.widget = TrackWidget(self.viewer)
        self.widget.tracker.value = "lk"

    @property
    def points(self) -> Points:
        """The layer of queries."""
        return self.widget.points.value

    @property
    def positions(self) -> Points:
        """The layer of what was found."""
        return self.viewer.layers["positions in clip"]

    def go(self, t: int) -> None:
        """Go to a frame."""
        self.viewer.dims.set_current_step(0, t)

    def add(self, name: str, t: int, x: float, y: float) -> None:
        """Add a query at x, y in pixels, as a click does."""
        if self.widget.points.value is None:
            self.widget.new.native.click()
        world = self.video.data_to_world((t, y - 0.5, x - 0.5))
        self.points.selected_data = set()
        self.widget.point_name.value = ""
        self.widget.point_name.value = name
        self.points.add(self.points.world_to_data(world))
        self.points.selected_data = set()

    def press(self, button: str) -> None:
        """Press a button of the widget, and wait until it is done."""
        getattr(self.widget, button).native.click()
        self.wait(lambda: self.widget.track.enabled)

    def wait(self, is_done: Callable[[], bool]) -> None:
        """Let Qt work until something is so."""
        deadline = time.monotonic() + SECONDS
        while not is_done():
            assert time.monotonic() < deadline, "it takes too long"
            self.qt.processEvents()
            time.sleep(0.005)

    def place(self, name: str, t: int) -> tuple[float, float]:
        """Where the layer of what was found has a point, x and y in pixels."""
        row = self.row(name, t)
        _, y, x = self.positions.data[row]
        return x + 0.5, y + 0.5

    def row(self, name: str, t: int) -> int:
        """The row of a point in a frame in the layer of what was found."""
        is_named = self.positions.features["name"].to_numpy() == name
        (row,) = np.flatnonzero(is_named & (self.positions.data[:, 0] == t))
        return int(row)

    def drag(self, name: str, t: int, x: float, y: float) -> None:
        """Move a point that was found to x, y in pixels."""
        data = self.positions.data.copy()
        data[self.row(name, t)] = (t, y - 0.5, x - 0.5)
        self.positions.data = data


@pytest.fixture
def make_desk(qt: QApplication, lines: list[str]) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def make(frames: Any, **options: Any) -> Desk:
        desks.append(Desk(qt, lines, frames, **options))
        return desks[-1]

    yield make
    for desk in desks:
        desk.widget.close()


@pytest.fixture
def desk(make_desk: Callable[..., Desk], make_frames: Callable) -> Desk:
    """Twelve frames whose content moves a pixel to the right each."""
    return make_desk(make_frames(12, (96, 80)))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path
