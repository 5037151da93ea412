"""Crops drawn anew each time, which the teacher sees as the backbone does: no cache.

The teacher describes the very crop, in the same colours, some times larger. That is a function of
what the backbone sees, and easier to learn than what the teacher says of a whole picture; but it
runs in every step. Shapes: T frames, C channels of the teacher, R pixels of its pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Generator, Tensor

from tracker.errors import UserError
from tracker.pretraining.distill.batches import BATCH_SEEDS, DistillBatch
from tracker.pretraining.distill.config import CropConfig
from tracker.pretraining.distill.crops import below, chance, recolour
from tracker.pretraining.distill.sources import Source
from tracker.pretraining.distill.targets import mean_under_tokens
from tracker.pretraining.distill.teachers import Teacher
from tracker.pretraining.distill.views import ViewConfig, log_uniform
from tracker.pretraining.jepa.masks import MaskConfig, draw_masks

STATISTICS = 128
"""Crops that the teacher's mean and deviation are taken over."""


class FrameStore:
    """Decoded frames of sources, kept in memory as far as a limit allows.

    Args:
        limit_gb: of memory; what is beyond it is decoded each time.
        longest: frames of a video that are kept, from its start.
    """

    def __init__(self, limit_gb: float, longest: int = 128) -> None:
        self._left, self._longest = limit_gb * 1e9, longest
        self._kept: dict[str, np.ndarray] = {}

    def frames(self, source: Source) -> np.ndarray:
        """Return `(T, H, W, 3) uint8`.

        Raises:
            UserError: they cannot be decoded.
        """
        if source.digest in self._kept:
            return self._kept[source.digest]
        pixels = source.pixels(0, min(source.length, self._longest))
        if pixels.nbytes <= self._left:
            self._left -= pixels.nbytes
            self._kept[source.digest] = pixels
        return pixels


class FreshBatches:
    """Batches of fresh crops by number; the first number chooses size and length for all.

    Clips longer than a tubelet are cut from videos, where there are any; a crop of a photograph is
    a tubelet of equal frames.

    Args:
        sources: photographs and videos.
        teacher: describes crops.
        config: what crops are like.
        views: what they are cut from: how pictures are reduced, and the teacher's scale.
        patch: side of a token in pixels.
        tubelet: frames of a token.
        kinds: the masks to draw; none for objective `distill`.
        memory_gb: for decoded frames.

    Raises:
        UserError: a size is no multiple of the patch, or the teacher's map is too coarse.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        teacher: Teacher,
        config: CropConfig,
        views: ViewConfig,
        patch: int,
        tubelet: int,
        kinds: Sequence[MaskConfig] = (),
        memory_gb: float = 6.0,
    ) -> None:
        self._by_kind = {
            kind: [s for s in sources if s.kind == kind] for kind in ("photograph", "video")
        }
        self._teacher, self._config, self._views = teacher, config, views
        self._patch, self._tubelet, self._kinds = patch, tubelet, kinds
        self._lag = teacher.lag / teacher.stride
        self._store = FrameStore(memory_gb)
        for size in config.sizes:
            if size % patch:
                raise UserError(f"crops.sizes: {size} is not a multiple of {patch} pixels")
            if self._teacher_side(size) // teacher.stride < size // patch:
                raise UserError(
                    f"the teacher's map of {self._teacher_side(size) // teacher.stride} cells a "
                    f"side is smaller than the backbone's grid of {size // patch} tokens; raise "
                    "views.teacher_scale, or use a teacher with smaller patches"
                )

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean and deviation `(C,)` of the targets, over a few batches."""
        seen: list[Tensor] = []
        crops = 0
        for start in range(BATCH_SEEDS // 2, BATCH_SEEDS, 16):
            targets = self.batch(list(range(start, start + 16))).targets
            seen.append(targets.flatten(0, 1))
            crops += len(targets)
            if crops >= STATISTICS:
                break
        tokens = torch.cat(seen)
        return tokens.mean(0), tokens.std(0).clamp(min=1e-6)

    def batch(self, numbers: list[int]) -> DistillBatch:
        """Return a batch of as many of these crops as have `config.tokens` tokens, or of all.

        Raises:
            UserError: a file cannot be decoded any more.
        """
        random = Generator().manual_seed(BATCH_SEEDS + numbers[0])
        size = self._config.sizes[below(len(self._config.sizes), random)]
        slots = self._config.slots[below(len(self._config.slots), random)]
        slots = slots if self._by_kind["video"] else 1
        side = size // self._patch
        count = max(1, min(len(numbers), self._config.tokens // (slots * side * side)))
        clips = [self._draw(size, slots, Generator().manual_seed(n)) for n in numbers[:count]]
        flat = torch.cat(clips)
        lengths = [len(clip) for clip in clips]
        small = F.interpolate(flat, (size, size), mode="bilinear", antialias=True)
        targets = self._under_tokens(self._teacher(flat).cpu(), side)
        length = slots * self._tubelet
        video = torch.stack([c.expand(length, -1, -1, -1) for c in small.split(lengths)])
        by_frame = torch.stack([t.expand(length, -1, -1, -1) for t in targets.split(lengths)])
        by_slot = by_frame.unflatten(1, (slots, self._tubelet)).mean(2)
        tokens = rearrange(by_slot, "b s c h w -> b (s h w) c")
        noise = self._config.noise * torch.rand(count, 1, 1, 1, 1, generator=random)
        video = video + noise * torch.randn(video.shape, generator=random)
        grid = (slots, side, side)
        masks = tuple(draw_masks(kind, grid, count, random) for kind in self._kinds)
        return DistillBatch(video.clamp(0, 1), tokens, torch.ones(tokens.shape[:2]), masks)

    def _teacher_side(self, size: int) -> int:
        stride = self._teacher.stride
        return max(1, round(size * self._views.teacher_scale / stride)) * stride

    def _under_tokens(self, maps: Tensor, side: int) -> Tensor:
        cells = maps.shape[-1] / side
        return mean_under_tokens(maps, (self._lag, self._lag), (cells, cells), (side, side))

    def _draw(self, size: int, slots: int, random: Generator) -> Tensor:
        """Return `(T, 3, R, R)` in 0..1; one frame where all are equal."""
        videos, photographs = self._by_kind["video"], self._by_kind["photograph"]
        moving = bool(videos) and (
            slots > 1 or not photographs or chance(self._config.videos, random)
        )
        sources = videos if moving else photographs
        source = sources[below(len(sources), random)]
        frames = self._store.frames(source)
        if moving:
            frames = self._some_frames(frames, slots, random)
        box = self._box(frames.shape[1:3], size, random)
        cut = np.ascontiguousarray(frames[:, box[0], box[1]])
        side = self._teacher_side(size)
        shrinks = cut.shape[1] > side and cut.shape[2] > side
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        large = np.stack([cv2.resize(frame, (side, side), interpolation=how) for frame in cut])
        clip = torch.from_numpy(large).permute(0, 3, 1, 2).float() / 255
        clip = clip.flip(-1) if chance(0.5, random) else clip
        return recolour(clip, self._config.colour, random)

    def _some_frames(self, frames: np.ndarray, slots: int, random: Generator) -> np.ndarray:
        """Choose consecutive frames, or every other one; now and then one is shown still."""
        length = slots * self._tubelet
        if slots == 1 and chance(0.3, random):
            return frames[below(len(frames), random)][None]
        step = 2 if len(frames) >= 2 * length and chance(0.3, random) else 1
        first = below(max(1, len(frames) - step * (length - 1)), random)
        # Videos that are too short stand still at their end.
        return frames[np.minimum(first + step * np.arange(length), len(frames) - 1)]

    def _box(self, frame: tuple[int, int], size: int, random: Generator) -> tuple[slice, slice]:
        """Draw what part of a frame of `(height, width)` a crop shows."""
        shape, scale, top, left = torch.rand(4, generator=random).tolist()
        zoom = log_uniform(self._views.zoom, scale)
        aspect = math.sqrt(log_uniform(self._views.aspect, shape))
        wanted = size * zoom / aspect, size * zoom * aspect
        shrink = min(1.0, frame[0] / wanted[0], frame[1] / wanted[1])
        height, width = (max(1, round(shrink * side)) for side in wanted)
        y, x = int(top * (frame[0] - height + 1)), int(left * (frame[1] - width + 1))
        return slice(y, y + height), slice(x, x + width)
