"""The widget: choose a video and its points, follow them, put them right, and write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from tracker.errors import UserError
from tracker.extras import needs
from tracker.formats.registry import FORMATS, save_tracks
from tracker.napari.following import Following
from tracker.napari.layers import (
    NAMES,
    Anchor,
    dot_size,
    frame_of,
    keep_apart,
    name_points,
    name_selected,
    names_of,
    placement,
    put_anchors,
    queries_of,
)
from tracker.napari.results import Results
from tracker.napari.videos import data_of, video_of
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.registry import make_tracker

with needs("napari"):
    import pandas as pd
    from magicgui.types import FileDialogMode
    from magicgui.widgets import (
        ComboBox,
        Container,
        FileEdit,
        FloatSlider,
        Label,
        LineEdit,
        ProgressBar,
        PushButton,
    )
    from napari.layers import Image, Points
    from napari.qt.threading import create_worker
    from napari.utils.notifications import show_error
    from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from napari.viewer import Viewer

BY_SUFFIX = "by the file's name"


class Stopped(Exception):  # noqa: N818  it is no error that somebody pressed Stop
    """Somebody stopped the run."""


class _Moved(QObject):
    """Carries progress from the thread that tracks to the one that draws."""

    signal = Signal(int, int)


@dataclass(frozen=True)
class _Opened:
    """A video that is being worked on, and what it was opened from."""

    tracker: str
    data: object
    limits: tuple[float, ...]
    following: Following


class TrackWidget(Container):
    """Follows the points of a Points layer through the video of an Image layer.

    Args:
        napari_viewer: that the widget belongs to.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self._viewer = napari_viewer
        self._opened: _Opened | None = None
        self._worker: Any = None
        self._halted = Event()
        self._results = Results(napari_viewer)
        self._moved = _Moved()
        self._moved.signal.connect(self._show_progress)
        self.video = ComboBox(label="Video", choices=lambda _: self._layers(Image))
        self.points = ComboBox(label="Points", choices=lambda _: self._layers(Points))
        self.new = PushButton(text="New points")
        self.point_name = LineEdit(
            label="Name", tooltip="of the selected points, and of the next ones"
        )
        self.hide_here = PushButton(
            text="Hidden here", tooltip="the selected points are not to be seen in this frame"
        )
        self.tracker = LineEdit(
            label="Tracker", value="vjepa", tooltip="vjepa, vjepa@FOLDER for your own, or lk"
        )
        self.track = PushButton(text="Track")
        self.track_here = PushButton(
            text="Track on from here",
            tooltip="the selected points, or else all, are in this frame where they lie now",
        )
        self.stop = PushButton(text="Stop", enabled=False)
        self.progress = ProgressBar(label="", max=1)
        self.status = Label(label="", value="")
        self.certainty = FloatSlider(
            label="Show from certainty", min=0, max=0.99, step=0.01, value=0.25
        )
        self.file = FileEdit(label="File", mode=FileDialogMode.OPTIONAL_FILE)
        self.format = ComboBox(label="Format", choices=[BY_SUFFIX, "npz", *FORMATS])
        self.export = PushButton(text="Export")
        super().__init__(
            widgets=[
                *(self.video, self.points, self.new, self.point_name, self.hide_here, self.tracker),
                *(self.track, self.track_here, self.stop, self.progress, self.status),
                *(self.certainty, self.file, self.format, self.export),
            ]
        )
        layers = napari_viewer.layers.events
        for event in (layers.inserted, layers.removed, layers.changed):
            event.connect(self._choose_layers)
        self.new.changed.connect(self._told(self._new_points))
        self.point_name.changed.connect(self._told(self._rename))
        self.hide_here.changed.connect(self._told(self._hide_here))
        self.track.changed.connect(self._told(self._track))
        self.track_here.changed.connect(self._told(self._track_here))
        self.stop.changed.connect(self._stop)
        self.certainty.changed.connect(self._results.show_from)
        self.export.changed.connect(self._told(self._export))

    @property
    def tracks(self) -> Tracks | None:
        """What was found last, visible as the slider says; None before the first run."""
        return self._results.shown

    def _layers(self, kind: type) -> list[Any]:
        own = self._results.layers
        return [lay for lay in self._viewer.layers if isinstance(lay, kind) and lay not in own]

    def _choose_layers(self) -> None:
        """Offer the layers that are there now; a chosen one stays chosen."""
        self.video.reset_choices()
        self.points.reset_choices()

    def _told(self, do: Callable[[], None]) -> Callable[[], None]:
        """Return what a button calls: `do`, and what the user did wrong as a line."""

        def work() -> None:
            try:
                do()
            except UserError as error:
                show_error(str(error))

        return work

    def _chosen_video(self) -> Image:
        if self.video.value is None:
            raise UserError("there is no video; open one, or drop its file on the window")
        return self.video.value

    def _chosen_points(self) -> Points:
        if self.points.value is None:
            raise UserError("there are no points; press New points, and click on the video")
        return self.points.value

    def _new_points(self) -> None:
        video = self._chosen_video()
        layer = self._viewer.add_points(
            np.empty((0, 3)),
            name=f"points of {video.name}",
            features=pd.DataFrame({"name": np.empty(0, object), "hidden": np.empty(0, bool)}),
            feature_defaults={"name": "", "hidden": False},
            text=NAMES,
            symbol="square",
            face_color="transparent",
            border_color="white",
            size=1.5 * dot_size(video),
            **placement(video),
        )
        layer.events.data.connect(self._keep_apart)
        layer.events.features.connect(self._show_name)
        layer.selected_data.events.items_changed.connect(self._show_name)
        layer.mode = "add"
        self.points.value = layer

    def _rename(self) -> None:
        name_selected(self._chosen_points(), self.point_name.value)

    def _keep_apart(self, event: Any) -> None:
        if str(event.action) == "added":
            keep_apart(event.source, event.data_indices)

    def _show_name(self) -> None:
        """Show the name that the selected points have."""
        layer = self.points.value
        chosen = layer.selected_data if layer is not None else set()
        names = (
            {name for row, name in enumerate(names_of(layer)) if row in chosen} if chosen else {}
        )
        if len(names) == 1:
            with self.point_name.changed.blocked():
                (self.point_name.value,) = names

    def _hide_here(self) -> None:
        layer, video = self._chosen_points(), self._chosen_video()
        here = self._selected_here(video)
        if not here:
            raise UserError("no tracked point is selected in this frame; select those to hide")
        put_anchors(layer, video, [Anchor(a.name, a.t, a.place, hidden=True) for a in here])

    def _track(self) -> None:
        video, points = self._chosen_video(), self._chosen_points()
        put_anchors(points, video, self._results.corrections())
        name_points(points)
        self._begin(video, queries_of(points, video))

    def _track_here(self) -> None:
        video = self._chosen_video()
        anchors = self._selected_here(video) or self._results.anchors_in(self._frame(video))
        if not anchors:
            raise UserError("nothing was tracked yet; press Track first")
        put_anchors(self._chosen_points(), video, anchors)
        self._track()

    def _frame(self, video: Image) -> int:
        return frame_of(self._viewer.dims.point, video)

    def _selected_here(self, video: Image) -> list[Anchor]:
        return self._results.anchors_in(self._frame(video), only_selected=True)

    def _begin(self, video: Image, queries: Queries) -> None:
        """Track in a thread of its own."""
        if self._worker is not None:
            raise UserError("points are being tracked; wait, or press Stop")
        if not len(queries):
            raise UserError("there are no points yet; click on the video to add one")
        opened = self._open(video)

        def work() -> Tracks | str:  # what is raised, napari shows with its traceback
            try:
                return opened().track(queries, self._moving)
            except UserError as error:
                return str(error)
            except Stopped:
                return ""

        self._worker = create_worker(work)
        self._worker.returned.connect(lambda found: self._take(video, found))
        self._worker.finished.connect(self._end)
        self._halted.clear()
        self.progress.value = 0
        self.status.value = "tracking ..."
        self._enable(False)
        self._worker.start()

    def _open(self, video: Image) -> Callable[[], Following]:
        """Return what opens the video, which may take long; one that is open stays so."""
        name, data = self.tracker.value.strip(), data_of(video)
        limits = () if video.rgb else tuple(video.contrast_limits)
        opened = self._opened
        if opened and (opened.tracker, opened.limits) == (name, limits) and opened.data is data:
            return lambda: opened.following
        source = video_of(video)

        def open_anew() -> Following:
            following = Following(make_tracker(name), source)
            self._opened = _Opened(name, data, limits, following)
            return following

        return open_anew

    def _show_progress(self, done: int, total: int) -> None:
        self.progress.max, self.progress.value = max(total, 1), min(done, total)

    def _take(self, video: Image, found: Tracks | str) -> None:
        """Show tracks, or the line of what went wrong; an empty one where it was stopped."""
        if isinstance(found, Tracks):
            self._results.show(video, found, self.certainty.value)
            self._choose_layers()
            self.status.value = f"{len(found)} points, {found.num_frames} frames"
            return
        self.status.value = "" if found else "stopped; tracks are as before"
        if found:
            show_error(found)

    def _end(self) -> None:
        self._worker = None
        self._enable(True)

    def _enable(self, is_idle: bool) -> None:
        self.track.enabled = self.track_here.enabled = is_idle
        self.stop.enabled = not is_idle

    def _stop(self) -> None:
        self._halted.set()

    def _moving(self, done: int, total: int) -> None:
        """Tell of progress, from the thread that tracks."""
        if self._halted.is_set():
            raise Stopped
        self._moved.signal.emit(done, total)

    def _export(self) -> None:
        tracks, path = self.tracks, Path(str(self.file.value or ""))
        if tracks is None:
            raise UserError("there are no tracks to write; press Track first")
        if not path.name:
            raise UserError("the export has no file; choose one")
        kind = None if self.format.value == BY_SUFFIX else self.format.value
        if kind == "npz":
            tracks.save(path.with_suffix(".npz"))
        elif kind is None:
            tracks.save(path)
        else:
            save_tracks(tracks, path, kind)
        self.status.value = f"wrote {path.name}"
