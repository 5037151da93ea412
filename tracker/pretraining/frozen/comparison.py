"""Encoders side by side, with nothing trained: what they find, how much of them is position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tracker.analysis.report import Table
from tracker.errors import UserError
from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.features.template import PositionalTemplate, template_beside
from tracker.pretraining.frozen.describers import describe_by_backbone, fit_template
from tracker.pretraining.frozen.nearest import THRESHOLDS, Way, measure
from tracker.pretraining.frozen.videos import TrackedVideo


@dataclass(frozen=True)
class Encoder:
    """One of those compared.

    Attributes:
        name: its source.
        backbone: read as the template beside it says, else at its usual layers in its natural
            frame mode.
        template: fitted on the same clips as the others'.
    """

    name: str
    backbone: FrozenBackbone
    template: PositionalTemplate


def open_encoders(
    names: Sequence[str],
    size: tuple[int, int],
    window: int,
    clips: int,
    textures: str | None,
    device: str,
) -> list[Encoder]:
    """Open encoders and fit a template for each.

    Args:
        names: sources of backbones.
        size: `(height, width)` in pixels that all of them see.
        window: frames that attend to each other, where no template beside the weights says how
            many.
        clips: rendered ones that each template is fitted on.
        textures: folder of photographs that they show; None for built-in pictures.
        device: where they run.

    Raises:
        UserError: one cannot be opened, or the size does not suit its patches.
    """
    if len(set(names)) != len(names) or not names:
        raise UserError(f"backbones={list(names)}: name one or more, each once")
    # All of them first: a name that is wrong is told before the work begins.
    opened = [FrozenBackbone(_reading(name, size, window)) for name in names]
    return [
        Encoder(name, backbone, fit_template(backbone, clips, textures, device))
        for name, backbone in zip(names, opened, strict=True)
    ]


def _reading(name: str, size: tuple[int, int], window: int) -> BackboneConfig:
    """Return how an encoder is read: as the template beside its weights says, else as is usual."""
    beside = template_beside(name)
    read = {} if beside is None else beside.identity
    return BackboneConfig.usual(
        name, size, read.get("window", window), read.get("layers"), read.get("frame_mode")
    )


def matching_table(
    encoders: Sequence[Encoder], videos: Sequence[TrackedVideo], device: str
) -> Table:
    """Return the share of points that nearest neighbours find, in percent."""
    ways = [
        Way(one.name, describe_by_backbone(one.backbone, one.template, device)) for one in encoders
    ]
    rows = measure(ways, videos)
    columns = [f"{kind} {limit}" for kind in ("all", "moved") for limit in THRESHOLDS]
    return Table(
        "Found by the nearest neighbour of frozen features, % within so many of 256 pixels",
        ["encoder", *columns],
        [
            (name, *(round(100 * share, 1) for share in (*row.everywhere, *row.moved)))
            for name, row in rows.items()
        ],
    )


def position_table(encoders: Sequence[Encoder]) -> Table:
    """Return how much of each encoder's features is by place, at its last layer."""
    return Table(
        "Position in the features of the last layer",
        [
            "encoder",
            "frame mode",
            "window",
            "layers",
            "channels",
            "share of variance",
            "split-half cosine",
        ],
        [
            (
                one.name,
                one.backbone.config.frame_mode,
                1 if one.backbone.config.frame_mode == "image" else one.backbone.config.window,
                ", ".join(map(str, one.backbone.config.layers)),
                one.backbone.channels,
                one.template.report.positional_share[-1],
                one.template.report.split_half_cosine[-1],
            )
            for one in encoders
        ],
    )


def check_videos(videos: Sequence[TrackedVideo]) -> None:
    """Raise UserError unless there is something to measure on."""
    if not videos:
        raise UserError("the benchmark holds no videos; name another with benchmark.path=")


def first_frames(video: TrackedVideo, count: int) -> TrackedVideo:
    """Return the beginning of a video, with the points that are visible in it."""
    seen = video.visible[:, :count].any(1)
    visible = video.visible[seen, :count]
    return TrackedVideo(
        video.name,
        video.frames[:count],
        video.xy[seen, :count],
        visible,
        visible.to(torch.uint8).argmax(1),
    )
