"""What was found, as layers: a Tracks layer to look at and a Points layer to drag points in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracker.extras import needs
from tracker.napari.layers import (
    NAMES,
    Anchor,
    dot_size,
    moved_places,
    placement,
    places_of,
    position_rows,
    track_rows,
)
from tracker.points.tracks import Tracks

with needs("napari"):
    from napari.utils.colormaps import ensure_colormap

if TYPE_CHECKING:
    from napari.layers import Image, Layer, Points
    from napari.layers import Tracks as TracksLayer
    from napari.viewer import Viewer

COLOURS = "turbo"
"""napari's colormap of a Tracks layer; points have the colours of their tracks."""


class Results:
    """The layers of a viewer that show the last tracks.

    Args:
        viewer: that they are in.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._video: Image | None = None
        self._lines: TracksLayer | None = None
        self._positions: Points | None = None
        self.shown: Tracks | None = None
        """What was found last, visible from the certainty on that was asked for."""

    @property
    def layers(self) -> list[Layer]:
        """The Tracks layer and the Points layer, as far as they are there."""
        known = (self._lines, self._positions)
        return [layer for layer in known if layer is not None and layer in self._viewer.layers]

    def show(self, video: Image, tracks: Tracks, certainty: float) -> None:
        """Show tracks in place of those before.

        Args:
            video: layer that they lie on.
            tracks: as confident as they were found.
            certainty: confidence above which points are shown.
        """
        self.shown = tracks.shown_from(certainty)
        rows, features = position_rows(self.shown)
        here = self._positions in self.layers and self._video is video
        if here and self._positions is not None:
            self._positions.selected_data = set()
            self._positions.data = rows
            self._positions.features = features
        else:
            for layer in self.layers:
                self._viewer.layers.remove(layer)
            self._positions = self._viewer.add_points(
                rows,
                name=f"positions in {video.name}",
                features=features,
                text=NAMES,
                size=dot_size(video),
                border_width=0.15,
                **placement(video),
            )
        self._video = video
        self._colour()
        self._draw_lines()

    def show_from(self, certainty: float) -> None:
        """Show the same tracks from another certainty on; what was moved by hand stays there."""
        if self.shown is None:
            return
        self.shown = self.shown.shown_from(certainty)
        if self._positions in self.layers and self._positions is not None:
            point, t, _ = places_of(self._positions)
            features = self._positions.features.copy()
            features["shown"] = self.shown.visible[point, t]
            self._positions.features = features
            self._colour()
        self._draw_lines()

    def corrections(self) -> list[Anchor]:
        """Return where points were moved to by hand since the tracks were shown."""
        if self.shown is None or self._positions not in self.layers:
            return []
        moved = moved_places(self._positions, self.shown)
        return [Anchor(self._name(point), t, place) for (point, t), place in moved.items()]

    def anchors_in(self, frame: int, only_selected: bool = False) -> list[Anchor]:
        """Return where points lie now in a frame, all of them or those that are selected."""
        if self._positions is None or self._positions not in self.layers:
            return []
        point, t, xy = places_of(self._positions)
        rows = np.flatnonzero(t == frame)
        if only_selected:
            rows = rows[np.isin(rows, list(self._positions.selected_data))]
        return [Anchor(self._name(point[i]), frame, (xy[i, 0], xy[i, 1])) for i in rows]

    def _name(self, point: int) -> str:
        assert self.shown is not None and self.shown.names is not None  # the widget names them
        return self.shown.names[point]

    def _colour(self) -> None:
        """Let points have their tracks' colours, and be hollow where they are not shown."""
        layer = self._positions
        assert layer is not None and self.shown is not None
        point, _, _ = places_of(layer)
        colours = ensure_colormap(COLOURS).map(point / max(len(self.shown) - 1, 1))
        is_shown = layer.features["shown"].to_numpy(bool)[:, None]
        layer.face_color = np.where(is_shown, colours, [0, 0, 0, 0])
        layer.border_color = np.where(is_shown, [0, 0, 0, 1], colours)

    def _draw_lines(self) -> None:
        """Draw the tracks where they are shown; napari has no Tracks layer without rows."""
        assert self._video is not None and self.shown is not None
        rows, features = track_rows(self.shown)
        lines = self._lines if self._lines in self.layers else None
        if not len(rows):
            if lines is not None:
                self._viewer.layers.remove(lines)
        elif lines is not None:
            lines.data = rows
            lines.features = features
        else:
            name = f"tracks in {self._video.name}"
            self._lines = self._viewer.add_tracks(
                rows, name=name, features=features, colormap=COLOURS, **placement(self._video)
            )
            # Under the points, which are dragged.
            self._viewer.layers.move(len(self._viewer.layers) - 1, self._below_positions())

    def _below_positions(self) -> int:
        layers = self._viewer.layers
        return layers.index(self._positions) if self._positions in layers else len(layers) - 1
