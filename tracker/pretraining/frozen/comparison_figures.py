"""Encoders side by side in pictures: components of their features, and where a point is found.

Shapes: S slots, C channels, h x w patches, N points, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import torch
from einops import rearrange

from tracker.analysis.figures import Panel, Row, draw_rows, evenly
from tracker.analysis.pca import principal_components
from tracker.analysis.report import Figure
from tracker.pretraining.frozen.comparison import Encoder
from tracker.pretraining.frozen.describers import describe_by_backbone
from tracker.pretraining.frozen.nearest import similarity
from tracker.pretraining.frozen.videos import TrackedVideo
from tracker.video.pixels import resize

SHOWN_FRAMES = 6
LABEL_WIDTH = 16
"""Letters of an encoder's name in a line."""


def component_figure(encoders: Sequence[Encoder], video: TrackedVideo, device: str) -> Figure:
    """Draw the first three principal components of residuals, a row for each encoder."""
    window = max(one.backbone.config.window for one in encoders)
    frames = video.frames[:window].float() / 255
    shown = evenly(len(frames), SHOWN_FRAMES)
    small = resize(frames[None], encoders[0].backbone.config.input_size)
    pictures = small[0].permute(0, 2, 3, 1).clamp(0, 1).numpy()
    rows = [Row("frames", [Panel(pictures[t], f"frame {t}") for t in shown])]
    for one in encoders:
        volume = one.backbone(small.to(device))
        last = one.template.subtract(volume)[0, -1].cpu()
        slots, _, height, width = last.shape
        found = principal_components(rearrange(last, "s c h w -> (s h w) c"))
        colours = found.colours().reshape(slots, height, width, 3)
        rows.append(Row(_label(one.name), [Panel(colours[int(volume.slot[t])]) for t in shown]))
    caption = (
        "First three principal components of each encoder's last layer after its template, as red, "
        "green and blue; one fit per row, so colours compare within a row only."
    )
    png = draw_rows(f"Principal components, {video.name}", rows, _aspect(video))
    return Figure("components", png, caption)


def match_figure(encoders: Sequence[Encoder], video: TrackedVideo, device: str) -> Figure:
    """Draw how alike every place is to one point's query, a row for each encoder."""
    point = farthest_point(video)
    xy, visible, query_frame = (x[[point]] for x in (video.xy, video.visible, video.query))
    one = TrackedVideo(video.name, video.frames, xy, visible, query_frame)
    query = int(one.query[0])
    later = [query + 1 + t for t in evenly(len(video.frames) - query - 1, SHOWN_FRAMES - 1)]
    shown = [query, *later]
    pictures = video.frames.permute(0, 2, 3, 1).float().numpy() / 255

    def place(t: int) -> tuple[float, float] | None:
        x, y = one.xy[0, t].tolist()
        return (x, y) if one.visible[0, t] else None

    titles = ["query", *(f"frame {t}" for t in later)]
    frames = [
        Panel(pictures[t], title, point=place(t)) for t, title in zip(shown, titles, strict=True)
    ]
    rows = [Row("truth", frames)]
    for encoder in encoders:
        describe = describe_by_backbone(encoder.backbone, encoder.template, device)
        alike = similarity(describe(video.frames), one)[0]
        height, width = alike.shape[1:]
        best = alike.flatten(1).argmax(1).tolist()
        found = [((cell % width + 0.5) / width, (cell // width + 0.5) / height) for cell in best]
        panels = [Panel(alike[t].numpy(), point=found[t]) for t in shown]
        rows.append(Row(_label(encoder.name), panels, "cosine"))
    caption = (
        "One point of the video, the one that moves farthest: above, where it was annotated; "
        "below, how alike each place is to its query by an encoder's residuals, and a cross on the "
        "nearest neighbour. Colours compare within a row only."
    )
    png = draw_rows(f"Where a point is found, {video.name}", rows, _aspect(video))
    return Figure("match", png, caption)


def farthest_point(video: TrackedVideo) -> int:
    """Return the number of the point that is seen farthest from its query, after it."""
    later = torch.arange(video.visible.shape[1]) > video.query[:, None]
    way = (video.xy - video.query_xy[:, None]).norm(dim=-1)
    return int(way.where(later & video.visible, -1.0).amax(1).argmax())


def _label(name: str) -> str:
    """Break a long name where it may be broken, so that it stays beside its row."""
    return "\n".join(wrap(name.replace("/", "/ "), LABEL_WIDTH)).replace("/ ", "/")


def _aspect(video: TrackedVideo) -> float:
    return video.frames.shape[-2] / video.frames.shape[-1]
