"""Where in all frames is what lies at a point of one frame: similarity maps without training.

Shapes: S tubelet slots, C channels, h x w patches, P points.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from tracker.analysis.features import Features, read_frames
from tracker.analysis.figures import Panel, Row, draw_rows, evenly
from tracker.analysis.report import Figure, Report, Table
from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.video.video import Video

MAX_FRAMES = 512
SHOWN_FRAMES = 8
SUMMARY = """\
Cosine similarity between the feature at a point (sampled bilinearly at its frame) and every token
of every frame. The cross marks the point in its own frame and the most similar token elsewhere.
"""


def sample_points(features: Tensor, slot: Tensor, queries: Tensor) -> Tensor:
    """Read features at points, bilinearly.

    Args:
        features: `(S, C, h, w)`.
        slot: `(T,)` the slot of each frame.
        queries: `(P, 3)` frame, and x and y in 0..1 of the frame.

    Returns:
        `(P, C)`.
    """
    maps = features[slot[queries[:, 0].long()]]
    grid = rearrange(2 * queries[:, 1:] - 1, "p xy -> p 1 1 xy").to(features)
    sampled = F.grid_sample(maps, grid, padding_mode="border", align_corners=False)
    return rearrange(sampled, "p c 1 1 -> p c")


def similarity_maps(features: Tensor, points: Tensor) -> Tensor:
    """Return `(P, S, h, w)` cosines between `(P, C)` points and all `(S, C, h, w)` features."""
    return torch.einsum("pc,schw->pshw", F.normalize(points, dim=1), F.normalize(features, dim=1))


def peaks(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return centres `(..., 2)` x, y in 0..1 of the most similar patches, and their values.

    Args:
        maps: `(..., h, w)`.
    """
    h, w = maps.shape[-2:]
    value, index = maps.flatten(-2).max(-1)
    x, y = (index % w + 0.5) / w, (index // w + 0.5) / h
    return torch.stack([x, y], -1), value


def analyze_match(features: Features, video: Video | None, queries: Queries) -> Report:
    """Draw similarity maps of points of a video, or of the first clip at the input size.

    Raises:
        UserError: a point outside, a video that is too long, or features that are not finite.
    """
    height, width = features.backbone.config.input_size
    if video is None:
        clip, name, size = next(features.clips(1)), "clip 0", (width, height)
    else:
        queries.check(video.size, len(video))
        if len(video) > MAX_FRAMES:
            raise UserError(
                f"{video.name} has {len(video)} frames; choose {MAX_FRAMES} at most with --start, "
                "--stop and --stride"
            )
        clip = read_frames(video, (height, width))
        name, size = video.name, video.size
    queries.check(size, len(clip))
    features.fit(features.settings.clips, first=2)
    volume = features.encode(clip)
    residual = features.residual(volume)
    versions = {"raw": volume.features} | ({} if residual is None else {"residual": residual})
    scaled = torch.from_numpy(queries.txy) / torch.tensor([1, *size])
    numbers: list[dict[str, Any]] = []
    figures = []
    for place, layer in enumerate(features.layers):
        maps = {}
        for version, values in versions.items():
            points = sample_points(values[0, place], volume.slot, scaled)
            maps[version] = similarity_maps(values[0, place], points)
        for number, (t, x, y) in enumerate(queries.txy.tolist()):
            of_point = {version: m[number] for version, m in maps.items()}
            title = f"Similarity to point {number} (frame {t:.0f}, x {x:.0f}, y {y:.0f})"
            rows = _rows(clip, volume.slot, of_point, scaled[number])
            png = draw_rows(f"{title}, layer {layer}", rows, size[1] / size[0])
            caption = f"{title} of {name} in layer {layer}, raw above residual."
            figures.append(Figure(f"match_point{number}_layer{layer}", png, caption))
            numbers.append({"layer": layer, "point": number, "query": [t, x, y]})
            numbers[-1] |= {v: _peak_rows(m, volume.slot, size) for v, m in of_point.items()}
    facts = features.facts() | {"clip": name, "frames": len(clip)}
    table = Table(
        "Mean similarity, and of the best token of each frame",
        ["", *(f"{v}, {what}" for v in versions for what in ("mean", "best"))],
        [
            (
                f"layer {entry['layer']}, point {entry['point']}",
                *(entry[v][what] for v in versions for what in ("mean", "mean_of_best")),
            )
            for entry in numbers
        ],
    )
    return Report(
        "match", "Correspondence maps", SUMMARY, facts, {"points": numbers}, [table], figures
    )


def _peak_rows(maps: Tensor, slot: Tensor, size: tuple[int, int]) -> dict[str, object]:
    """Return for each frame where the best token of `(S, h, w)` lies, in pixels."""
    xy, value = peaks(maps)
    xy = xy * torch.tensor(size)
    return {
        "mean": float(maps.mean()),
        "mean_of_best": float(value.mean()),
        "best_xy": xy[slot].tolist(),
        "best_similarity": value[slot].tolist(),
    }


def _rows(clip: Tensor, slot: Tensor, maps: dict[str, Tensor], query: Tensor) -> list[Row]:
    """Return frames, then a row of maps per version; the query's own frame is among them."""
    own = int(query[0])
    shown = sorted({*evenly(len(clip), SHOWN_FRAMES - 1), own})
    pictures = {t: clip[t].permute(1, 2, 0).numpy() for t in shown}
    place = (float(query[1]), float(query[2]))
    frames = [
        Panel(p, f"frame {t}", point=place if t == own else None) for t, p in pictures.items()
    ]
    rows = [Row("frames", frames)]
    for version, map_ in maps.items():
        best, _ = peaks(map_)
        panels = []
        for t, picture in pictures.items():
            s = int(slot[t])
            point = place if t == own else tuple(best[s].tolist())
            panels.append(Panel(map_[s].numpy(), under=picture, point=point))
        rows.append(Row(version, panels, "cosine"))
    return rows
