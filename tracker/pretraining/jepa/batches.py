"""Batches for pretraining: clips and masks by number, whatever the clips come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from tracker.datasets.clips import ClipSource, clip_or_stand_in
from tracker.errors import UserError
from tracker.pretraining.jepa.masks import MaskConfig, Masks, draw_masks


@dataclass(frozen=True)
class JepaBatch:
    """A batch.

    Attributes:
        video: `(B, T, 3, H, W) float32` in 0..1.
        masks: one entry for each kind.
        unreadable: why clips were replaced by others.
    """

    video: Tensor
    masks: tuple[Masks, ...]
    unreadable: list[str] = field(default_factory=list)

    def to(self, device: torch.device) -> JepaBatch:
        """Return the batch on a device."""
        video = self.video.to(device, non_blocking=True)
        return JepaBatch(video, tuple(m.to(device) for m in self.masks), self.unreadable)


class JepaBatches:
    """Batches of a source of clips; all that is random depends on the clips' numbers alone.

    Args:
        clips: where clips come from.
        kinds: the masks to draw.
        patch: side of a token in pixels.
        tubelet: length of a token in frames.
    """

    def __init__(
        self, clips: ClipSource, kinds: Sequence[MaskConfig], patch: int, tubelet: int
    ) -> None:
        self._clips, self._kinds, self._patch, self._tubelet = clips, kinds, patch, tubelet

    def batch(self, numbers: list[int]) -> JepaBatch:
        """Return the batch of these clips; an unreadable one is replaced by another.

        Raises:
            UserError: the stand-ins of a clip are unreadable too, or masks leave no context.
        """
        unreadable: list[str] = []
        video = torch.stack([clip_or_stand_in(self._clips, n, unreadable) for n in numbers])
        length, height, width = video.shape[1], video.shape[3], video.shape[4]
        grid = (length // self._tubelet, height // self._patch, width // self._patch)
        random = Generator().manual_seed(numbers[0])
        masks = tuple(draw_masks(kind, grid, len(numbers), random) for kind in self._kinds)
        return JepaBatch(video, masks, unreadable)


class MixedClips:
    """Clips of several sources, each clip of one chosen at random.

    Args:
        frames: of a clip, which each source has to keep to.
        size: of a clip, `(height, width)` in pixels, likewise.
        sources: by name.
        shares: how often each is chosen, in proportion; by the same names.

    Raises:
        UserError: names differ, or shares are not positive.
    """

    def __init__(
        self,
        frames: int,
        size: tuple[int, int],
        sources: dict[str, ClipSource],
        shares: dict[str, float],
    ) -> None:
        if sources.keys() != shares.keys() or not sources:
            raise UserError(
                f"data.shares names {sorted(shares)}, but data.sources {sorted(sources)}"
            )
        if min(shares.values()) < 0 or not sum(shares.values()) > 0:
            raise UserError(f"data.shares {shares}: use shares of 0 or more, not all 0")
        self._shape = (frames, 3, *size)
        self._sources, self._names = list(sources.values()), list(sources)
        self._shares = torch.tensor([shares[name] for name in sources], dtype=torch.float64)

    @property
    def skipped(self) -> dict[str, str]:
        """Videos that could not be opened, and why."""
        return {k: v for s in self._sources for k, v in getattr(s, "skipped", {}).items()}

    def clip(self, index: int) -> Tensor:
        """Return clip `index` of the source that its number chooses, `(T, 3, H, W)` in 0..1.

        Raises:
            UserError: it cannot be read, or is not of `frames` and `size`.
        """
        random = Generator().manual_seed(index)
        choice = int(self._shares.multinomial(1, generator=random))
        clip = self._sources[choice].clip(index)
        if clip.shape != self._shape:
            raise UserError(
                f"data.sources.{self._names[choice]} gives clips of shape {tuple(clip.shape)}, "
                f"not {self._shape}; give it the frames and size of data"
            )
        return clip
