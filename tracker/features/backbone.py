"""Frozen V-JEPA 2: video in, patch features of chosen layers out.

`FrozenBackbone` reads any V-JEPA 2 checkpoint in transformers' format: a hub id, a folder, or the
small model inside this package (`mini`). It is not an `nn.Module`, so its weights can reach neither
an optimiser nor a checkpoint of the tracker; it works in `eval()` without gradients, on the device
of the frames that it is given.

Shapes: B videos, T frames, L layers, S tubelet slots, C channels, h x w patches.

The layers are run with rotary positions of the real patch grid (`rotary.py`).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from einops import rearrange
from torch import Tensor

from tracker.errors import UserError
from tracker.features.checkpoints import (
    MINI,
    copy_checkpoint,
    is_name,
    load_config,
    load_model,
    patch_side,
    write_checkpoint,
)
from tracker.features.encoder import encode_tokens
from tracker.video.pixels import image_size, normalise, resize

if TYPE_CHECKING:
    from transformers import VJEPA2Model
    from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2Encoder

FrameMode = Literal["tubelet", "offset", "duplicate"]


@dataclass(frozen=True)
class BackboneConfig:
    """Which checkpoint, and how features are read from it.

    Attributes:
        source: `mini`, a hub id such as `facebook/vjepa2-vitl-fpc64-256`, a folder, or
            `mini-random` (mini's architecture with random weights).
        layers: which layers' outputs to return, counted from 1; the last one is returned after
            the encoder's final norm.
        input_size: `(height, width)` in pixels that frames are resized to.
        window: frames that attend to each other.
        frame_mode: `tubelet` gives the two frames of a tubelet one feature (cheapest); `offset`
            adds a second pass shifted by a frame, so that each frame has its own; `duplicate`
            shows each frame twice, as images were shown in pretraining.
        dtype: `auto` is float32 on CPU and bfloat16 on CUDA.
    """

    source: str = MINI
    layers: tuple[int, ...] = (2, 4, 6, 8)
    input_size: tuple[int, int] = (256, 256)
    window: int = 16
    frame_mode: FrameMode = "tubelet"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "input_size", image_size("input_size", self.input_size))
        if self.frame_mode not in ("tubelet", "offset", "duplicate"):
            raise UserError(f"frame_mode {self.frame_mode!r}: use tubelet, offset or duplicate")
        if self.window < 2 or self.window % 2:
            raise UserError(f"window {self.window}: use an even number of frames, such as 16")
        if self.dtype not in ("auto", "float32", "bfloat16", "float16"):
            raise UserError(f"dtype {self.dtype!r}: use auto, float32, bfloat16 or float16")


@dataclass(frozen=True)
class FeatureVolume:
    """Features of a clip.

    Attributes:
        features: `(B, L, S, C, h, w)`, one entry for each tubelet slot.
        slot: `(T,)` the slot that holds each frame's feature.
        phase: `(S,)` each slot's place in its window, which the positional template depends on.
    """

    features: Tensor
    slot: Tensor
    phase: Tensor


class FrozenBackbone:
    """A V-JEPA 2 encoder that never trains.

    Reads the checkpoint's config at once, and its weights at the first use.

    Args:
        config: which checkpoint and how to read it.
        model: an encoder in memory instead of a checkpoint; it is frozen in place.

    Raises:
        UserError: no such checkpoint, it is damaged, or the settings do not fit it.
    """

    def __init__(self, config: BackboneConfig, model: VJEPA2Model | None = None) -> None:
        self.config = config
        self._given = self._model = None if model is None else _freeze(model)
        self._fingerprint: str | None = None
        self.architecture = load_config(config.source) if model is None else model.config
        depth, patch = self.architecture.num_hidden_layers, self.patch
        if not config.layers or not all(1 <= i <= depth for i in config.layers):
            raise UserError(
                f"layers {list(config.layers)}: {config.source} has layers 1..{depth}; choose those"
            )
        height, width = config.input_size
        if height % patch or width % patch or min(height, width) < patch:
            raise UserError(
                f"input_size {height}x{width}: {config.source} needs multiples of {patch} pixels"
            )

    @property
    def channels(self) -> int:
        """C, the channels of a feature."""
        return self.architecture.hidden_size

    @property
    def patch(self) -> int:
        """Side of a patch in pixels of the input."""
        return patch_side(self.architecture)

    @property
    def grid(self) -> tuple[int, int]:
        """`(h, w)` patches of the configured input size."""
        height, width = self.config.input_size
        return height // self.patch, width // self.patch

    @property
    def phases(self) -> int:
        """Tubelet slots of a full window."""
        tubelets = self.config.window // self.architecture.tubelet_size
        return self.config.window if self.config.frame_mode == "duplicate" else tubelets

    @property
    def model(self) -> VJEPA2Model:
        """The frozen model; loaded at the first use.

        Raises:
            UserError: the checkpoint cannot be loaded.
        """
        if self._model is None:
            self._model = _freeze(load_model(self.config.source))
        return self._model

    def fingerprint(self) -> str:
        """Hash of the encoder's weights, the same in whatever precision they are stored."""
        if self._fingerprint is None:
            digest = hashlib.sha256()
            for name, tensor in sorted(self.model.encoder.state_dict().items()):
                digest.update(name.encode() + tensor.cpu().half().numpy().tobytes())
            self._fingerprint = digest.hexdigest()[:16]
        return self._fingerprint

    @property
    def has_name(self) -> bool:
        """Whether its source, a hub id or a shipped name, is enough to load it anywhere."""
        return self._given is None and is_name(self.config.source)

    def save(self, folder: str | Path) -> None:
        """Write the checkpoint into a folder that can be a source: a copy, or what is in memory.

        Raises:
            UserError: it is known by a name alone, or cannot be written.
        """
        if self._given is not None:
            write_checkpoint(self._given, Path(folder))
        elif self.has_name:
            raise UserError(f"backbone {self.config.source} is loaded by its name; name it instead")
        else:
            copy_checkpoint(Path(self.config.source), Path(folder))

    def identity(self) -> dict[str, object]:
        """What features depend on, apart from the weights: a template must agree with it."""
        identity = asdict(self.config) | {"channels": self.channels}
        del identity["dtype"], identity["source"]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in identity.items()}

    @torch.no_grad()
    def __call__(self, video: Tensor) -> FeatureVolume:
        """Encode a clip window by window.

        Args:
            video: `(B, T, 3, H, W)` float in 0..1, of any size; resized to `input_size`.

        Returns:
            Features in the precision of the encoder. The last window of a long clip is taken from
            its end, overlapping the one before, so that all windows are full.

        Raises:
            UserError: pixels are not finite.
        """
        if not torch.isfinite(video).all():
            raise UserError("frames hold NaN or infinite pixels; check how they were decoded")
        frames = normalise(resize(video, self.config.input_size))
        length = video.shape[1]
        starts = window_starts(length, self.config.window)
        # Those of a GPU in one batch; on a CPU one fills its caches.
        at_once = 1 if video.device.type == "cpu" else len(starts)
        parts, slots, phases = [], [], []
        offset = 0
        encoded = self.encode_windows(frames, [start for start, _ in starts], at_once)
        for (start, first_new), (features, slot) in zip(starts, encoded, strict=True):
            first_slot = int(slot[first_new - start])
            parts.append(features[:, :, first_slot:])
            slots.append(slot[first_new - start :] - first_slot + offset)
            phases.append(self._phase(features.shape[2])[first_slot:])
            offset += parts[-1].shape[2]
        return FeatureVolume(torch.cat(parts, 2), torch.cat(slots), torch.cat(phases))

    def encode_windows(
        self, frames: Tensor, starts: Sequence[int], at_once: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Encode windows of a clip, several in one batch.

        Args:
            frames: `(B, T, 3, H, W)` normalised.
            starts: first frame of each window.
            at_once: windows that are encoded in one batch.

        Yields:
            Of each window, features `(B, L, S, C, h, w)` and each frame's slot `(T,)`.
        """
        for first in range(0, len(starts), at_once):
            some = starts[first : first + at_once]
            clips = torch.cat([frames[:, start : start + self.config.window] for start in some])
            features, slot = self._encode_window(clips)
            for part in features.split(len(frames)):
                yield part, slot

    def _phase(self, slots: int) -> Tensor:
        index = torch.arange(slots)
        # In offset mode slots alternate between the two passes over the same places.
        return index // 2 if self.config.frame_mode == "offset" else index

    def _encode_window(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return features `(B, L, S, C, h, w)` of one window, and each frame's slot `(T,)`."""
        length = frames.shape[1]
        index = torch.arange(length)
        if self.config.frame_mode == "duplicate":
            return self.encode_tubelets(frames.repeat_interleave(2, dim=1)), index
        even = torch.cat([frames, frames[:, -1:]], 1) if length % 2 else frames
        features = self.encode_tubelets(even)
        if self.config.frame_mode == "tubelet":
            return features, index // 2
        # The second pass starts a frame later; the last frame stands in for the one after it.
        shifted = torch.cat([even[:, 1:], even[:, -1:]], 1)
        both = torch.stack([features, self.encode_tubelets(shifted)], dim=3)
        both = rearrange(both, "b l s two c h w -> b l (s two) c h w")
        return both[:, :, :length], index

    @torch.no_grad()
    def encode_tubelets(self, frames: Tensor) -> Tensor:
        """Run the encoder once over all frames.

        Args:
            frames: `(B, T, 3, H, W)` normalised, T a multiple of the tubelet, H and W of the patch.

        Returns:
            `(B, L, T / tubelet, C, h, w)` outputs of the chosen layers.
        """
        encoder = self._encoder_for(frames.device)
        grid = (
            frames.shape[1] // self.architecture.tubelet_size,
            frames.shape[3] // self.patch,
            frames.shape[4] // self.patch,
        )
        embedded = encoder.embeddings(frames.to(self._dtype(frames.device)))
        outputs = torch.stack(encode_tokens(encoder, embedded, grid, self.config.layers), dim=1)
        t, h, w = grid
        return rearrange(outputs, "b l (t h w) c -> b l t c h w", t=t, h=h, w=w)

    def _encoder_for(self, device: torch.device) -> VJEPA2Encoder:
        """Return the encoder on a device, in the precision that it runs in there."""
        dtype = self._dtype(device)
        weight = next(self.model.encoder.parameters())
        if weight.dtype != dtype:
            self.fingerprint()  # of the weights as they were loaded, before they are rounded
            if self._given is not None:
                self._model = copy.deepcopy(self._given)
            elif weight.dtype != torch.float32:
                self._model = None  # they were rounded for another device
        if weight.dtype != dtype or weight.device != device:
            # torch.nn's own: transformers' decorated one has lost its types.
            torch.nn.Module.to(self.model, device=device, dtype=dtype)
        return self.model.encoder

    def _dtype(self, device: torch.device) -> torch.dtype:
        if self.config.dtype == "auto":
            return torch.bfloat16 if device.type == "cuda" else torch.float32
        return getattr(torch, self.config.dtype)


def window_starts(length: int, window: int) -> list[tuple[int, int]]:
    """Return `(start, first new frame)` of the windows that cover `length` frames.

    >>> window_starts(40, 16)
    [(0, 0), (16, 16), (24, 32)]
    """
    last = max(0, length - window)
    starts = [*range(0, last, window), last]
    return [(start, i * window) for i, start in enumerate(starts)]


def _freeze(model: VJEPA2Model) -> VJEPA2Model:
    return model.eval().requires_grad_(False)
