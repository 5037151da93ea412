"""How the frames of a video file are meant to be shown: which stream, what shape, which lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

MOST_STRETCHED = 10
"""A pixel that is said to be longer than so many times its width is an error of the file."""


def picture_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """Return the first stream of moving pictures; the cover of a piece of music is none."""
    from av.stream import Disposition

    streams = container.streams.video
    return next((s for s in streams if not s.disposition & Disposition.attached_pic), None)


def pixel_aspect(stream: av.VideoStream) -> float:
    """Return how wide a stored pixel is meant to be shown, in its heights."""
    ratio = float(stream.sample_aspect_ratio or 1)
    return ratio if 1 / MOST_STRETCHED <= ratio <= MOST_STRETCHED else 1.0


def shown_size(stored: tuple[int, int], aspect: float) -> tuple[int, int]:
    """Return the `(W, H)` of a frame in square pixels.

    The side that is too short is stretched, so that no stored pixel is lost.
    """
    width, height = stored
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def deinterlaced(
    frames: Iterator[av.VideoFrame], stream: av.VideoStream
) -> Iterator[av.VideoFrame]:
    """Yield a whole frame for each interlaced one, its lines of the later time interpolated.

    A frame is made from its neighbours, too: the first and last of `frames` lack one.
    """
    import av

    graph = av.filter.Graph()
    source = graph.add_buffer(template=stream)
    weave = graph.add("bwdif", "mode=send_frame:deint=all")
    sink = graph.add("buffersink")
    source.link_to(weave)
    weave.link_to(sink)
    graph.configure()
    for frame in frames:
        graph.vpush(frame)
        yield from _ready(graph)
    graph.vpush(None)
    yield from _ready(graph)


def _ready(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    import av

    try:
        while True:
            yield graph.vpull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return
