"""Drawing: rows of frames and maps, bars, and lines over time, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tracker.extras import needs

with needs("analysis"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.image import AxesImage

CELL = 1.7  # inches wide


@dataclass(frozen=True)
class Panel:
    """One picture of a row.

    Attributes:
        picture: `(h, w, 3)` in 0..1, or `(h, w)` values that are drawn in colours.
        title: above it.
        under: `(H, W, 3)` frame shown through the map, or None.
        outline: `(H, W)` bool, contoured in white, or None.
        point: `(x, y)` in 0..1 of the frame, marked by a cross, or None.
    """

    picture: np.ndarray
    title: str = ""
    under: np.ndarray | None = None
    outline: np.ndarray | None = None
    point: tuple[float, float] | None = None


@dataclass(frozen=True)
class Row:
    """Panels side by side; maps share the colours whose bar stands at the right."""

    label: str
    panels: Sequence[Panel]
    bar: str = ""


def draw_rows(title: str, rows: Sequence[Row], aspect: float) -> bytes:
    """Return a PNG of rows of panels; `aspect` is height over width of a frame."""
    columns = max(len(row.panels) for row in rows)
    size = (CELL * columns + 1.6, (CELL * aspect + 0.3) * len(rows) + 0.5)
    canvas = Canvas(figsize=size, layout="constrained")
    axes = canvas.subplots(len(rows), columns, squeeze=False)
    canvas.suptitle(title)
    for row, cells in zip(rows, axes, strict=True):
        values = [p.picture for p in row.panels if p.picture.ndim == 2]
        low, high = (
            (min(v.min() for v in values), max(v.max() for v in values)) if values else (0, 1)
        )
        for axis in cells[len(row.panels) :]:
            axis.axis("off")
        image = None
        for panel, axis in zip(row.panels, cells, strict=False):
            shown = _draw_panel(axis, panel, low, high, aspect)
            image = shown if panel.picture.ndim == 2 else image
        cells[0].set_ylabel(row.label)
        if image is not None:
            canvas.colorbar(image, ax=list(cells), label=row.bar, shrink=0.9, aspect=12)
    return _png(canvas)


def _draw_panel(axis: Axes, panel: Panel, low: float, high: float, aspect: float) -> AxesImage:
    extent = (0, 1, aspect, 0)
    if panel.under is not None:
        axis.imshow(panel.under.mean(-1), extent=extent, cmap="gray", vmin=0, vmax=1)
    image = axis.imshow(
        panel.picture,
        extent=extent,
        cmap="inferno",
        vmin=low,
        vmax=high,
        interpolation="nearest",
        alpha=0.65 if panel.under is not None else 1,
    )
    if panel.outline is not None and panel.outline.any() and not panel.outline.all():
        height, width = panel.outline.shape
        x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height * aspect
        axis.contour(x, y, panel.outline.astype(float), [0.5], colors="cyan", linewidths=1)
    if panel.point is not None:
        x, y = panel.point
        for colour, width in (("black", 3.5), ("cyan", 1.5)):
            axis.plot(x, y * aspect, "+", color=colour, markersize=11, markeredgewidth=width)
    axis.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(aspect, 0))
    axis.set_title(panel.title, fontsize=9)
    return image


def draw_bars(
    title: str, groups: Sequence[str], series: Mapping[str, Sequence[float]], ylabel: str
) -> bytes:
    """Return a PNG of grouped bars, each with its number; one colour per series."""
    canvas = Canvas(figsize=(2 + 1.5 * len(groups), 3.6), layout="constrained")
    axis = canvas.subplots()
    width = 0.8 / len(series)
    for place, (name, values) in enumerate(series.items()):
        x = np.arange(len(groups)) + (place - (len(series) - 1) / 2) * width
        bars = axis.bar(x, values, width * 0.95, label=name)
        axis.bar_label(bars, fmt="%.2f", fontsize=8)
    axis.set(title=title, ylabel=ylabel, xticks=np.arange(len(groups)), xticklabels=groups)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.grid(axis="y", alpha=0.3)
    axis.margins(y=0.12)
    axis.legend()
    return _png(canvas)


def draw_lines(
    title: str, times: Sequence[int], series: dict[str, np.ndarray], marks: Sequence[int]
) -> bytes:
    """Return a PNG of importance over the frames `times`, with dashed marks at chosen ones."""
    canvas = Canvas(figsize=(9, 3.2), layout="constrained")
    axis = canvas.subplots()
    for name, values in series.items():
        axis.plot(times, values, marker=".", label=name)
    for number, t in enumerate(marks):
        label = "chosen frames" if number == 0 else None
        axis.axvline(t, color="black", linestyle="--", linewidth=1, label=label)
    axis.set(title=title, xlabel="frame", ylabel="importance")
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend()
    return _png(canvas)


def _png(canvas: Canvas) -> bytes:
    data = io.BytesIO()
    canvas.savefig(data, format="png", dpi=110)
    return data.getvalue()


def evenly(count: int, shown: int) -> list[int]:
    """Return at most `shown` numbers of 0..count-1, evenly spread and with both ends.

    >>> evenly(9, 3)
    [0, 4, 8]
    """
    return np.unique(np.linspace(0, count - 1, min(count, shown)).round().astype(int)).tolist()
