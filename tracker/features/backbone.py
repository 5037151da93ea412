"""A frozen encoder: video in, patch features of chosen layers out.

`FrozenBackbone` reads V-JEPA 2 and, for comparison, encoders of pictures, from whatever source
(`sources.py`). It is not an `nn.Module`, so its weights can reach neither an optimiser nor a
checkpoint of the tracker; it works in `eval()` without gradients, on the device of the frames that
it is given.

Shapes: B videos, T frames, L layers, S tubelet slots, C channels, h x w patches.

V-JEPA's layers are run with rotary positions of the real patch grid (`rotary.py`).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from einops import rearrange
from torch import Tensor

from tracker.errors import UserError
from tracker.features.checkpoints import copy_checkpoint, is_name, patch_side, write_checkpoint
from tracker.features.config import BackboneConfig
from tracker.features.encoder import encode_tokens
from tracker.features.images.encoders import ImageArchitecture, ImageEncoder
from tracker.features.meta_checkpoints import is_meta_file, load_meta_model
from tracker.features.sources import frame_modes, load_architecture, load_encoder
from tracker.progress import Share, in_silence
from tracker.video.pixels import normalise, resize

if TYPE_CHECKING:
    from tracker.features.sources import Encoder


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
    """An encoder that never trains.

    Reads the checkpoint's config at once, and its weights at the first use.

    Args:
        config: which checkpoint and how to read it.
        model: an encoder in memory instead of a checkpoint; it is frozen in place.

    Raises:
        UserError: no such checkpoint, it is damaged, or the settings do not fit it.
    """

    def __init__(self, config: BackboneConfig, model: Encoder | None = None) -> None:
        self.config = config
        self._given: Encoder | None = None if model is None else _freeze(model)
        self._model = self._given
        self._fingerprint: str | None = None
        self.architecture = load_architecture(config.source) if model is None else model.config
        depth, patch = self.architecture.num_hidden_layers, self.patch
        first = getattr(self.architecture, "first_layer", 1)
        if not config.layers or not all(first <= i <= depth for i in config.layers):
            raise UserError(
                f"layers {list(config.layers)}: {config.source} has layers {first}..{depth}; "
                "choose those"
            )
        modes = frame_modes(self.architecture)
        if config.frame_mode not in modes:
            raise UserError(
                f"frame_mode {config.frame_mode}: {config.source} can be shown frames as "
                f"{' or '.join(modes)}; choose with backbone.frame_mode or --frame-mode"
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
        """Places in time of a full window that a template tells apart."""
        if self.config.frame_mode == "image":
            return 1  # a picture knows nothing of its place in time
        tubelets = self.config.window // self.architecture.tubelet_size
        return self.config.window if self.config.frame_mode == "duplicate" else tubelets

    @property
    def slots(self) -> int:
        """Features in time of a full window."""
        if self.config.frame_mode == "tubelet":
            return self.config.window // self.architecture.tubelet_size
        return self.config.window

    @property
    def model(self) -> Encoder:
        """The frozen model; loaded at the first use.

        Raises:
            UserError: the checkpoint cannot be loaded.
        """
        if self._model is None:
            self._model = _freeze(load_encoder(self.config.source))
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

        A file of Meta's is converted.

        Raises:
            UserError: it is known by a name alone, or cannot be written.
        """
        if isinstance(self._given, ImageEncoder):
            raise UserError(f"{self.config.source}, an encoder of pictures in memory, has no files")
        if self._given is not None:
            write_checkpoint(self._given, Path(folder))
        elif is_meta_file(self.config.source):
            write_checkpoint(load_meta_model(self.config.source), Path(folder))
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
    def __call__(self, video: Tensor, on_share: Share = in_silence) -> FeatureVolume:
        """Encode a clip window by window.

        Args:
            video: `(B, T, 3, H, W)` float in 0..1, of any size; resized to `input_size`.
            on_share: called after each window with the share of them that is done.

        Returns:
            Features in the precision of the encoder. The last window of a long clip is taken from
            its end, overlapping the one before, so that all windows are full.

        Raises:
            UserError: pixels are not finite.
        """
        if not torch.isfinite(video).all():
            raise UserError("frames hold NaN or infinite pixels; check how they were decoded")
        frames = self._prepare(resize(video, self.config.input_size))
        length = video.shape[1]
        starts = window_starts(length, self.config.window)
        # Those of a GPU in one batch; on a CPU one fills its caches.
        at_once = 1 if video.device.type == "cpu" else len(starts)
        parts, slots, phases = [], [], []
        offset = 0
        encoded = self.encode_windows(frames, [start for start, _ in starts], at_once)
        for done, ((start, first_new), (features, slot)) in enumerate(
            zip(starts, encoded, strict=True), start=1
        ):
            first_slot = int(slot[first_new - start])
            parts.append(features[:, :, first_slot:])
            slots.append(slot[first_new - start :] - first_slot + offset)
            phases.append(self._phase(features.shape[2])[first_slot:])
            offset += parts[-1].shape[2]
            on_share(done / len(starts))
        return FeatureVolume(torch.cat(parts, 2), torch.cat(slots), torch.cat(phases))

    def encode_windows(
        self, frames: Tensor, starts: Sequence[int], at_once: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Encode windows of a clip, several in one batch.

        Args:
            frames: `(B, T, 3, H, W)`, as the encoder wants its pixels.
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

    def _prepare(self, video: Tensor) -> Tensor:
        # Encoders of pictures know best how they want their pixels.
        return video if isinstance(self.architecture, ImageArchitecture) else normalise(video)

    def _phase(self, slots: int) -> Tensor:
        index = torch.arange(slots)
        if self.config.frame_mode == "image":
            return torch.zeros_like(index)
        # In offset mode slots alternate between the two passes over the same places.
        return index // 2 if self.config.frame_mode == "offset" else index

    def _encode_window(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return features `(B, L, S, C, h, w)` of one window, and each frame's slot `(T,)`."""
        length = frames.shape[1]
        index = torch.arange(length)
        if self.config.frame_mode == "image":
            return self.encode_images(frames), index
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
    def encode_one_window(self, clips: Tensor) -> FeatureVolume:
        """Encode clips that are each a window, without a look at what the pixels are.

        Args:
            clips: `(B, T, 3, H, W)` in 0..1, of `input_size`.
        """
        features, slot = self._encode_window(self._prepare(clips))
        return FeatureVolume(features, slot, self._phase(features.shape[2]))

    @torch.no_grad()
    def encode_tubelets(self, frames: Tensor) -> Tensor:
        """Run the encoder once over all frames.

        Args:
            frames: `(B, T, 3, H, W)` normalised, T a multiple of the tubelet, H and W of the patch.

        Returns:
            `(B, L, T / tubelet, C, h, w)` outputs of the chosen layers.
        """
        encoder = self._encoder_for(frames.device)
        t = frames.shape[1] // self.architecture.tubelet_size
        h, w = (side // self.patch for side in frames.shape[3:])
        embedded = encoder.embeddings(frames.to(self._dtype(frames.device)))
        layers = encode_tokens(encoder, embedded, (t, h, w), self.config.layers)
        outputs = torch.stack(layers, dim=1)
        return rearrange(outputs, "b l (t h w) c -> b l t c h w", t=t, h=h, w=w)

    @torch.no_grad()
    def encode_images(self, frames: Tensor) -> Tensor:
        """Run the encoder over each frame alone.

        Args:
            frames: `(B, T, 3, H, W)`, H and W multiples of the patch; normalised for V-JEPA 2.1,
                in 0..1 for encoders of pictures.

        Returns:
            `(B, L, T, C, h, w)` outputs of the chosen layers.
        """
        encoder = self._encoder_for(frames.device)
        batch, layers = frames.shape[0], self.config.layers
        pictures = frames.flatten(0, 1)
        if isinstance(encoder, ImageEncoder):
            maps = encoder(pictures, layers)
        else:
            h, w = (side // self.patch for side in frames.shape[3:])
            embedded = encoder.image_embeddings(pictures[:, None].to(self._dtype(frames.device)))
            outputs = encode_tokens(encoder, embedded, (1, h, w), layers)
            maps = [rearrange(tokens, "n (h w) c -> n c h w", h=h) for tokens in outputs]
        return rearrange(maps, "l (b t) c h w -> b l t c h w", b=batch)

    def _encoder_for(self, device: torch.device) -> Any:
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


def _freeze(model: Encoder) -> Encoder:
    return model.eval().requires_grad_(False)
