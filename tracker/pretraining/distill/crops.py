"""Crops of stored views: what the backbone sees, and the teacher's features under its tokens.

A crop of a photograph may move from frame to frame, and a part of another photograph may move over
it; frames of videos are as they are. Colours and noise change what the backbone sees and not what
the teacher says of it. Shapes: T frames, S tubelet slots, C channels, g x g tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from tracker.errors import UserError
from tracker.pretraining.distill.config import CropConfig
from tracker.pretraining.distill.targets import blend_covered, mean_under_tokens
from tracker.pretraining.distill.teacher_maps import StoredView


@dataclass(frozen=True)
class Crop:
    """A clip, and what its tokens are.

    Attributes:
        video: `(T, 3, H, W) float32` in 0..1.
        targets: `(S, C, g, g)` the teacher's features.
        weights: `(S, g, g)` how much each token counts.
    """

    video: Tensor
    targets: Tensor
    weights: Tensor


class CropDrawer:
    """Cuts crops of views; all that is random comes from a generator.

    Args:
        views: to cut from.
        config: what crops are like.
        patch: side of a token in pixels.
        tubelet: frames of a token.
        lag: cells that what a cell of a map describes lies above and left of it.

    Raises:
        UserError: a size is no multiple of the patch, no view is as large, or a map has fewer
            cells than the backbone has tokens.
    """

    def __init__(
        self,
        views: Sequence[StoredView],
        config: CropConfig,
        patch: int,
        tubelet: int,
        lag: float = 0.0,
    ) -> None:
        self._config, self._patch, self._tubelet, self._lag = config, patch, tubelet, lag
        self._large_enough: dict[tuple[str, int], list[StoredView]] = {}
        for view in views:
            _check_resolution(view, patch)
            for size in config.sizes:
                if min(view.size) >= size:
                    self._large_enough.setdefault((view.kind, size), []).append(view)
        for size in config.sizes:
            if size % patch:
                raise UserError(f"crops.sizes: {size} is not a multiple of {patch} pixels")
            if not any((kind, size) in self._large_enough for kind in ("photograph", "video")):
                raise UserError(
                    f"crops.sizes: no view has sides of {size} pixels; leave it out, raise "
                    "views.smallest, or give larger pictures"
                )

    def draw(self, size: int, slots: int, random: Generator) -> Crop:
        """Return a crop of `size` pixels and `slots` tubelets.

        Raises:
            UserError: a file of the cache was damaged since it was checked.
        """
        share = self._config.videos
        order = ["video", "photograph"] if chance(share, random) else ["photograph", "video"]
        kind = next(k for k in order if (k, size) in self._large_enough)
        views = self._large_enough[kind, size]
        view = views[below(len(views), random)]
        crop = (self._of_video if kind == "video" else self._of_photograph)(
            view, size, slots, random
        )
        if kind == "photograph" and chance(self._config.covers, random):
            other = self._of_photograph(views[below(len(views), random)], size, slots, random)
            crop = _cover(crop, other, random)
        video = recolour(crop.video, self._config.colour, random)
        noise = self._config.noise * float(torch.rand((), generator=random))
        if noise:
            video = video + noise * torch.randn(video.shape, generator=random)
        return Crop(video.clamp(0, 1), crop.targets, crop.weights)

    def _of_video(self, view: StoredView, size: int, slots: int, random: Generator) -> Crop:
        """Follow the frames; now and then each is shown still, as pictures are."""
        length = slots * self._tubelet
        still = view.frames < length or (slots == 1 and chance(0.3, random))
        wanted = 1 if still else length
        first = below(view.frames - wanted + 1, random)
        top, left = (below(side - size + 1, random) for side in view.size)
        pictures, maps = view.read(
            first, wanted, (slice(top, top + size), slice(left, left + size))
        )
        targets = torch.stack([self._under_tokens(m, view, top, left, size) for m in maps])
        return self._clip(pictures.expand(length, -1, -1, -1), targets.expand(length, -1, -1, -1))

    def _of_photograph(self, view: StoredView, size: int, slots: int, random: Generator) -> Crop:
        """Let the crop move along a line, within the photograph."""
        length = slots * self._tubelet
        pictures, maps = view.read(0, 1, (slice(None), slice(None)))
        speed = self._config.motion * size * torch.randn(2, generator=random)
        if chance(0.3, random):
            speed = torch.zeros(2)
        paths = []
        for side, step in zip(view.size, speed.tolist(), strict=True):
            middle = below(side - size + 1, random)
            path = (middle + step * (torch.arange(length) - (length - 1) / 2)).round().long()
            paths.append(path.clamp(0, side - size).tolist())
        corners = list(zip(*paths, strict=True))
        described = {(y, x): self._under_tokens(maps[0], view, y, x, size) for y, x in set(corners)}
        clip = [pictures[0, :, y : y + size, x : x + size] for y, x in corners]
        return self._clip(torch.stack(clip), torch.stack([described[y, x] for y, x in corners]))

    def _under_tokens(
        self, cells: Tensor, view: StoredView, top: int, left: int, size: int
    ) -> Tensor:
        scale = tuple(n / side for n, side in zip(view.cells, view.size, strict=True))
        grid = size // self._patch
        return mean_under_tokens(
            cells,
            (top * scale[0] + self._lag, left * scale[1] + self._lag),
            (self._patch * scale[0], self._patch * scale[1]),
            (grid, grid),
        )

    def _clip(self, pictures: Tensor, by_frame: Tensor) -> Crop:
        """A tubelet's target is the mean of its frames'."""
        targets = by_frame.unflatten(0, (-1, self._tubelet)).mean(1)
        return Crop(pictures.float() / 255, targets, torch.ones_like(targets[:, 0]))


def _check_resolution(view: StoredView, patch: int) -> None:
    if any(n * patch < side for n, side in zip(view.cells, view.size, strict=True)):
        raise UserError(
            f"the teacher's map of {view.cells[0]}x{view.cells[1]} cells is smaller than the "
            f"backbone's grid of {view.size[0] // patch}x{view.size[1] // patch} tokens; raise "
            "views.teacher_scale, or use a teacher with smaller patches"
        )


def _cover(below_it: Crop, above: Crop, random: Generator) -> Crop:
    """Let an ellipse of one crop move over another."""
    length, _, height, width = below_it.video.shape
    middle, radius, speed = (torch.rand(2, generator=random) for _ in range(3))
    time = torch.arange(length)[:, None] / max(2, length) - 0.5
    centre = middle + (speed - 0.5) * 0.4 * time
    y = ((torch.arange(height) + 0.5) / height - centre[:, :1]) / (0.1 + 0.35 * radius[0])
    x = ((torch.arange(width) + 0.5) / width - centre[:, 1:]) / (0.1 + 0.35 * radius[1])
    edge = 1 - y[:, :, None].square() - x[:, None, :].square()
    cover = (edge * 8).clamp(0, 1)
    video = below_it.video + cover[:, None] * (above.video - below_it.video)
    by_slot = cover.unflatten(0, (len(below_it.targets), -1)).mean(1)
    blended = [
        blend_covered(a, b, c)
        for a, b, c in zip(below_it.targets, above.targets, by_slot, strict=True)
    ]
    targets, weights = (torch.stack(part) for part in zip(*blended, strict=True))
    return Crop(video, targets, weights)


def recolour(video: Tensor, strength: float, random: Generator) -> Tensor:
    """Change gamma, contrast, saturation, tint and brightness of a whole clip `(T, 3, H, W)`."""
    if not strength:
        return video
    gamma, contrast, saturation, offset, *tint = (
        strength * (2 * torch.rand(7, generator=random) - 1)
    ).tolist()
    video = video.clamp(min=1e-4) ** math.exp(1.5 * gamma)
    mean = video.mean()
    video = mean + (video - mean) * math.exp(contrast)
    gray = video.mean(1, keepdim=True)
    video = gray + (video - gray) * math.exp(2 * saturation)
    gain = torch.tensor(tint).mul(0.5).exp()[:, None, None]
    return (video * gain + 0.5 * offset).clamp(0, 1)


def chance(probability: float, random: Generator) -> bool:
    """Return True with a probability."""
    return float(torch.rand((), generator=random)) < probability


def below(bound: int, random: Generator) -> int:
    """Draw a whole number from 0 to `bound - 1`."""
    return int(torch.randint(bound, (), generator=random))
