"""Frozen matching: does the nearest feature in another frame lie on the same point?

The yardstick of a backbone, without any training: for points with true tracks, the patch of another
frame whose feature is most like the query's is taken as the point's place; it counts as right
within one patch of the truth (PCK). Measured on features as they are and on what remains after the
mean at each place over other clips is subtracted (`template`). A guess that nothing moves is often
right, and features that say where they are profit from it; so the points that are a patch or more
away from where their query was (`moved`) are counted by themselves as well.

Shapes: B clips, T frames, N points, L layers, S tubelet slots, C channels, h x w patches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from tracker.datasets.clips import ProceduralClips
from tracker.datasets.rendered import HELD_OUT_SEED
from tracker.errors import UserError
from tracker.features.backbone import FeatureVolume, FrozenBackbone
from tracker.features.moments import PlaceMoments, positional_share
from tracker.features.sources import random_encoder
from tracker.features.template import content_residuals
from tracker.pretraining.collapse import effective_rank, feature_std
from tracker.progress import nested_bar
from tracker.scenes.motion import MotionConfig
from tracker.training.batches import ProceduralTracks, TrackedBatches, TrackedClips
from tracker.video.pixels import normalise, resize

Extractor = Callable[[Tensor], FeatureVolume]
"""Turns `(B, T, 3, H, W)` in 0..1 into features; a `FrozenBackbone` is one."""


FAST = MotionConfig(min_speed=0.03, static=0.0)
"""Motion of the scenes to measure on: in short clips of slower ones hardly anything moves."""
KEPT = 32
"""Template clips whose features are kept for the signs of collapse."""


@dataclass(frozen=True)
class Pck:
    """Shares of point-frames that are matched within one patch.

    Attributes:
        raw: by each layer's features as they are, L values.
        template: by each layer's features after subtraction, L values.
        layers: by all layers together after subtraction, as the tracker reads them.
    """

    raw: list[float]
    template: list[float]
    layers: float


@dataclass(frozen=True)
class MatchingScores:
    """What one extractor reaches.

    Attributes:
        everywhere: PCK of all comparable point-frames.
        moved: PCK of those that moved.
        feature_std: of the last layer's features.
        effective_rank: of the last layer's features.
        positional_share: of the last layer's features.
        residual_rank: effective rank of the last layer after subtraction.
    """

    everywhere: Pck
    moved: Pck
    feature_std: float
    effective_rank: float
    positional_share: float
    residual_rank: float


class PixelPatches:
    """Raw pixels as features: each tubelet of `patch` pixels and two frames as one vector."""

    def __init__(self, patch: int, input_size: tuple[int, int], tubelet: int = 2) -> None:
        self._patch, self._size, self._tubelet = patch, input_size, tubelet

    def __call__(self, video: Tensor) -> FeatureVolume:
        """Return the pixels of `(B, T, 3, H, W)` in 0..1 as `(B, 1, S, 6 * patch^2, h, w)`."""
        features = rearrange(
            normalise(resize(video, self._size)),
            "b (s two) c (h p) (w q) -> b 1 s (two c p q) h w",
            two=self._tubelet,
            p=self._patch,
            q=self._patch,
        )
        slots = features.shape[2]
        slot = torch.arange(slots).repeat_interleave(self._tubelet)
        return FeatureVolume(features, slot, torch.arange(slots))


class MatchingYardstick:
    """Clips to measure on, and others to fit a template on; both in memory as bytes.

    Args:
        test: clips with true tracks.
        template_video: `(B, T, 3, H, W)` in 0..1, or uint8, of as many frames; B is at least 2,
            and 100 or more for figures that mean something: the error of a mean over few clips is
            the same in all frames of a test clip, and makes features at the same place alike.

    Raises:
        UserError: too few clips.
    """

    def __init__(self, test: TrackedClips, template_video: Tensor) -> None:
        if len(test.video) < 1 or len(template_video) < 2:
            raise UserError("matching needs 1 or more test clips and 2 or more template clips")
        self._test = replace(test, video=_to_bytes(test.video))
        self._template_video = _to_bytes(template_video)

    @classmethod
    def procedural(
        cls,
        scenes: int,
        template_scenes: int,
        frames: int,
        size: tuple[int, int],
        points: int = 64,
        textures: str | None = None,
        device: str = "cpu",
    ) -> MatchingYardstick:
        """Use scenes rendered on `device` whose seeds no training reaches; size is `(h, w)`."""
        scene = {"motion": FAST}
        tracks = ProceduralTracks(frames, size, points, textures, device, scene)
        test = TrackedBatches(tracks, flow=None).batch([HELD_OUT_SEED + i for i in range(scenes)])
        others = ProceduralClips(frames, size, textures, HELD_OUT_SEED + scenes, device)
        numbers = nested_bar(range(template_scenes), "rendering held-out clips")
        videos = [_to_bytes(others.clip(i)).cpu() for i in numbers]
        return cls(test.to(torch.device("cpu")), torch.stack(videos))

    @torch.no_grad()
    def measure(self, extract: Extractor, device: torch.device | str = "cpu") -> MatchingScores:
        """Measure an extractor, clip by clip, on a device.

        Raises:
            UserError: features are not finite.
        """
        mean, std, examples = self._fit_template(extract, device)
        right, counted = [], []
        for index in nested_bar(range(len(self._test.video)), "matching points"):
            volume = self._features(extract, self._test.video[index], device)
            raw = volume.features[0].float()
            residual = content_residuals(volume, mean, std)[0]
            clip = self._track_of(index, device)
            layers = rearrange(residual, "l s c h w -> 1 s (l c) h w")
            slot = volume.slot.to(device)
            found = torch.cat([match(x, slot, clip) for x in (raw, residual, layers)])
            grid = (raw.shape[-2], raw.shape[-1])
            kinds = torch.stack([comparable(slot, clip), moved(slot, clip, grid)])
            right.append((found[:, None] & kinds).sum((2, 3)))
            counted.append(kinds.sum((1, 2)))
        share = torch.stack(right).sum(0) / torch.stack(counted).sum(0).clamp(min=1)
        number = mean.shape[0]
        everywhere, elsewhere = (
            Pck(column[:number], column[number:-1], column[-1]) for column in share.T.tolist()
        )
        last = examples.features[:, 0]
        tokens = rearrange(last, "b s c h w -> (b s h w) c")
        residual = content_residuals(examples, mean[-1:], std[-1:])[:, 0]
        return MatchingScores(
            everywhere,
            elsewhere,
            feature_std(tokens),
            effective_rank(tokens),
            positional_share(last),
            effective_rank(rearrange(residual, "b s c h w -> (b s h w) c")),
        )

    def standing_still(self, grid: tuple[int, int], tubelet: int = 2) -> float:
        """PCK of the guess that nothing moves, on a grid of `(h, w)` patches: the floor."""
        clips, points, frames = self._test.visible.shape
        slot = torch.arange(frames) // tubelet
        right = counted = 0
        for index in range(clips):
            clip = self._track_of(index, "cpu")
            place = query_cell(clip, grid)[:, None].expand(points, frames)
            right += int(within_a_patch(place, slot, grid, clip).sum())
            counted += int(comparable(slot, clip).sum())
        return right / max(1, counted)

    def _fit_template(
        self, extract: Extractor, device: torch.device | str
    ) -> tuple[Tensor, Tensor, FeatureVolume]:
        """Fit a template on the clips that are set aside for it.

        Returns:
            Mean `(L, P, C, h, w)` and spread `(L, C)`, and the last layer's features of the first
            clips, `(B, 1, S, C, h, w)`.
        """
        examples: list[FeatureVolume] = []
        moments = None
        for index in nested_bar(range(len(self._template_video)), "fitting a template"):
            volume = self._features(extract, self._template_video[index], device)
            if moments is None:
                layers, _, channels, height, width = volume.features.shape[1:]
                phases = int(volume.phase.max()) + 1
                moments = PlaceMoments((layers, phases, channels, height, width))
            moments.add(volume)
            if len(examples) < KEPT:
                examples.append(replace(volume, features=volume.features[:, -1:].float()))
        assert moments is not None  # there are two clips or more
        kept = replace(examples[0], features=torch.cat([one.features for one in examples]))
        return moments.mean().to(device), moments.std().to(device), kept

    @staticmethod
    def _features(extract: Extractor, video: Tensor, device: torch.device | str) -> FeatureVolume:
        volume = extract(video[None].to(device).float() / 255)
        if not torch.isfinite(volume.features).all():
            raise UserError("the backbone's features are not finite; its weights are damaged")
        return volume

    def _track_of(self, index: int, device: torch.device | str) -> PointTracks:
        test = self._test
        height, width = test.video.shape[-2:]
        return PointTracks(
            test.xy[index].to(device) / test.xy.new_tensor([width, height]).to(device),
            test.visible[index].to(device),
            test.query_frame[index].to(device),
        )


@dataclass(frozen=True)
class PointTracks:
    """True tracks of one clip.

    Attributes:
        xy: `(N, T, 2)` as shares of the frame's width and height.
        visible: `(N, T) bool`.
        query_frame: `(N,)`.
    """

    xy: Tensor
    visible: Tensor
    query_frame: Tensor

    @property
    def query_xy(self) -> Tensor:
        """`(N, 2)` where each point is in its query frame."""
        return self.xy[torch.arange(len(self.xy), device=self.xy.device), self.query_frame]


def match(features: Tensor, slot: Tensor, clip: PointTracks) -> Tensor:
    """Find points by the nearest feature and say where that is right.

    Args:
        features: `(L, S, C, h, w)` of one clip; layers are matched independently.
        slot: `(T,)` the slot of each frame.
        clip: the truth.

    Returns:
        `(L, N, T) bool`: matched within one patch, of those that are `comparable`.
    """
    grid = (features.shape[-2], features.shape[-1])
    unit = F.normalize(rearrange(features, "l s c h w -> l s (h w) c"), dim=-1)
    query = unit[:, slot[clip.query_frame], query_cell(clip, grid)]
    similarity = torch.einsum("lnc,lspc->lnsp", query, unit)
    place = similarity.argmax(-1)[:, :, slot]
    return torch.stack([within_a_patch(layer, slot, grid, clip) for layer in place])


def query_cell(clip: PointTracks, grid: tuple[int, int]) -> Tensor:
    """Return `(N,)` the number of the patch that holds each query."""
    height, width = grid
    column = (clip.query_xy[:, 0] * width).long().clamp(0, width - 1)
    return (clip.query_xy[:, 1] * height).long().clamp(0, height - 1) * width + column


def comparable(slot: Tensor, clip: PointTracks) -> Tensor:
    """Return `(N, T)`: the point is visible, in another tubelet than its query."""
    return clip.visible & (slot != slot[clip.query_frame][:, None])


def moved(slot: Tensor, clip: PointTracks, grid: tuple[int, int]) -> Tensor:
    """Return `(N, T)`: comparable, and more than a patch away from where the query was."""
    patches = clip.xy.new_tensor([grid[1], grid[0]])
    way = ((clip.xy - clip.query_xy[:, None]) * patches).norm(dim=-1)
    return (way > 1) & comparable(slot, clip)


def within_a_patch(place: Tensor, slot: Tensor, grid: tuple[int, int], clip: PointTracks) -> Tensor:
    """Return `(N, T)`: comparable, and the centre of patch `place (N, T)` is near the truth."""
    height, width = grid
    centre = torch.stack([place % width, place // width], -1) + 0.5
    truth = clip.xy * clip.xy.new_tensor([width, height])
    return ((centre - truth).norm(dim=-1) <= 1) & comparable(slot, clip)


def _to_bytes(video: Tensor) -> Tensor:
    return video if video.dtype == torch.uint8 else (video * 255).round().to(torch.uint8)


def headline(scores: MatchingScores) -> dict[str, float]:
    """Return the last layer's PCK, raw and after subtraction, and that of all layers together."""
    return {
        f"{name}_{kind}": value
        for name, pck in (("pck", scores.everywhere), ("moved", scores.moved))
        for kind, value in (
            ("raw", pck.raw[-1]),
            ("template", pck.template[-1]),
            ("layers", pck.layers),
        )
    }


def baselines(
    yardstick: MatchingYardstick, backbone: FrozenBackbone, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """Measure what a backbone has to beat: random weights, raw pixels, nothing moving.

    Args:
        yardstick: what to measure with.
        backbone: whose architecture, layers and input size the baselines share.
        device: where the random encoder runs.
    """
    settings = replace(backbone.config, dtype="float32")
    random = FrozenBackbone(settings, random_encoder(backbone.architecture))
    tubelet = backbone.architecture.tubelet_size
    pixels = PixelPatches(backbone.patch, settings.input_size, tubelet)
    rows = {
        "random": headline(yardstick.measure(random, device)),
        "pixels": headline(yardstick.measure(pixels, device)),
    }
    flat = {f"{name}_{key}": value for name, row in rows.items() for key, value in row.items()}
    return flat | {"still_pck": yardstick.standing_still(backbone.grid, tubelet)}
