"""Clips with true tracks, numbered: what the head is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np
import torch
from einops import rearrange
from torch import Generator, Tensor

from tracker.errors import UserError
from tracker.flow.chains import FlowProposals, chain_flow
from tracker.flow.fields import gray_frames
from tracker.points.geometry import inside_frame
from tracker.scenes.renderer import SceneConfig, render_scenes
from tracker.scenes.textures import open_textures
from tracker.video.pixels import image_size


@dataclass(frozen=True)
class TrackedClips:
    """A batch of clips.

    Attributes:
        video: `(B, T, 3, H, W) float32` in 0..1.
        xy: `(B, N, T, 2)` raster pixels.
        visible: `(B, N, T) bool`.
        query_frame: `(B, N) int64`, a frame in which each point is visible.
        flow: where optical flow leads from the queries, in raster pixels; None without.
    """

    video: Tensor
    xy: Tensor
    visible: Tensor
    query_frame: Tensor
    flow: FlowProposals | None = None

    def to(self, device: torch.device) -> TrackedClips:
        """Return the batch on a device."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True)

        return TrackedClips(
            move(self.video),
            move(self.xy),
            move(self.visible),
            move(self.query_frame),
            self.flow and FlowProposals(move(self.flow.xy), move(self.flow.certainty)),
        )


class TrackSource(Protocol):
    """Numbered clips, all of one size, length and number of points."""

    def clips(self, numbers: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return video, xy and visible as in `TrackedClips`; a number's clip never changes."""
        ...


class ProceduralTracks:
    """Rendered scenes with points.

    Args:
        frames: of every clip.
        size: of every clip, `(height, width)` in pixels.
        points: of every clip.
        textures: a folder of photographs, or None for the built-in ones.
        device: where to render.
        scene: further settings of `SceneConfig`.
    """

    def __init__(
        self,
        frames: int,
        size: tuple[int, int],
        points: int,
        textures: str | None = None,
        device: str = "cpu",
        scene: Annotated[dict[str, Any], SceneConfig] | None = None,
    ) -> None:
        self._bank = open_textures(textures)
        height, width = image_size("data.size", size)
        self._config = SceneConfig(
            frames=frames, height=height, width=width, points=points, **(scene or {})
        )
        self._device = device

    def clips(self, numbers: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the scenes of these seeds; see `TrackSource`."""
        scenes = render_scenes(numbers, self._config, self._bank, self._device)
        return scenes.video, scenes.xy, scenes.visible


@dataclass(frozen=True)
class FlowConfig:
    """What optical flow the head learns from; made before every step, it must be cheap.

    Attributes:
        finest_scale: it is computed on images halved so many times.
        without: share of points that get none, so that the head learns to do without.
        sliding: share of points whose flow slides away from some frame on, as it does where a
            point is covered slowly, so that the head learns to look before it believes.
    """

    finest_scale: int = 1
    without: float = 0.25
    sliding: float = 0.25

    def __post_init__(self) -> None:
        if self.finest_scale < 0:
            raise UserError(f"flow.finest_scale={self.finest_scale} must be 0 or more")
        for name in ("without", "sliding"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"flow.{name}={getattr(self, name)} must be from 0 to 1")


class TrackedBatches:
    """Batches of a source, each point with a query frame and its optical flow.

    Args:
        source: of clips.
        flow: None leaves flow out, for a head that does not use it.
    """

    def __init__(self, source: TrackSource, flow: FlowConfig | None) -> None:
        self._source, self._flow = source, flow

    def batch(self, numbers: list[int]) -> TrackedClips:
        """Return the clips of these numbers; the same numbers give the same batch."""
        video, xy, visible = self._source.clips(numbers)
        random = Generator().manual_seed(numbers[0])
        query_frame = choose_query_frames(visible, random)
        if self._flow is None:
            return TrackedClips(video, xy, visible, query_frame)
        size = (video.shape[-1], video.shape[-2])
        flow = flow_from_queries(video, xy, query_frame, self._flow.finest_scale)
        flow = slide_away(flow, query_frame, size, self._flow.sliding, random)
        kept = torch.rand(query_frame.shape, generator=random) >= self._flow.without
        flow = FlowProposals(flow.xy, flow.certainty * kept[..., None].to(flow.certainty))
        return TrackedClips(video, xy, visible, query_frame, flow)


def query_positions(xy: Tensor, query_frame: Tensor) -> Tensor:
    """Read tracks `(B, N, T, 2)` at each point's own frame `(B, N)`; returns `(B, N, 2)`."""
    return xy.gather(2, query_frame[..., None, None].expand(-1, -1, 1, 2))[:, :, 0]


def flow_from_queries(
    video: Tensor, xy: Tensor, query_frame: Tensor, finest_scale: int
) -> FlowProposals:
    """Follow each query by optical flow; shapes as in `TrackedClips`, scale as in `FlowConfig`.

    Without jumps it costs less; when tracking it is better than what the head has come to expect.
    """
    frames = (rearrange(video, "b t c h w -> b t h w c") * 255).byte().cpu().numpy()
    start = query_positions(xy, query_frame)[:, :, None].expand_as(xy)
    known = torch.zeros(xy.shape[:-1]).scatter_(2, query_frame.cpu()[..., None], 1.0)
    size = (video.shape[-1], video.shape[-2])
    chains = [
        chain_flow(gray_frames(clip), where, certainty, size, (1,), finest_scale)
        for clip, where, certainty in zip(
            frames, start.float().cpu().numpy(), known.numpy(), strict=True
        )
    ]
    places, certainty = (torch.from_numpy(np.stack(x)).to(xy) for x in zip(*chains, strict=True))
    return FlowProposals(places, certainty)


def slide_away(
    flow: FlowProposals,
    query_frame: Tensor,
    size: tuple[int, int],
    share: float,
    random: Generator,
) -> FlowProposals:
    """Let the flow of some points slide off steadily, away from the query in time.

    Args:
        flow: of the points.
        query_frame: `(B, N)`.
        size: `(W, H)` of the clips; speeds are 0.2 to 4 of 256ths of the longer side a frame.
        share: of the points that slide.
        random: decides which, when and how fast.
    """
    chosen, onset, angle, pace = torch.rand(4, *query_frame.shape, generator=random).to(flow.xy)
    frames = flow.certainty.shape[-1]
    distance = (torch.arange(frames, device=flow.xy.device) - query_frame[..., None]).abs()
    late = (distance - (onset * frames)[..., None]).clamp(min=0)
    speed = 0.2 * 20**pace * max(size) / 256 * (chosen < share)
    heading = 2 * torch.pi * angle
    velocity = speed[..., None] * torch.stack([heading.cos(), heading.sin()], -1)
    xy = flow.xy + late[..., None] * velocity[..., None, :]
    return FlowProposals(xy, flow.certainty * inside_frame(xy, size))


def choose_query_frames(visible: Tensor, random: Generator) -> Tensor:
    """Pick a visible frame of each point at random; `(B, N, T) bool` to `(B, N)`.

    Raises:
        UserError: a point is never visible.
    """
    if not visible.any(-1).all():
        raise UserError("a training clip has a point that is never visible")
    score = torch.rand(visible.shape, generator=random).to(visible.device)
    return (score * visible).argmax(-1)
