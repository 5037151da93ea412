"""Which frozen encoder, and how features are read from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tracker.errors import UserError
from tracker.features.checkpoints import MINI
from tracker.features.sources import FrameMode, frame_modes, load_architecture, usual_layers
from tracker.video.pixels import image_size


@dataclass(frozen=True)
class BackboneConfig:
    """Which checkpoint, and how features are read from it.

    Attributes:
        source: `mini`, a hub id such as `facebook/vjepa2-vitl-fpc64-256`, a folder, a `.pt` file
            of Meta's, `efficientnet-lite2`, or `mini-random` (mini's architecture with random
            weights).
        layers: which layers' outputs to return, counted from 1; the last one is returned after
            the encoder's final norm, and V-JEPA 2.1's hierarchical ones after theirs.
        input_size: `(height, width)` in pixels that frames are resized to.
        window: frames that attend to each other.
        frame_mode: `tubelet` gives the two frames of a tubelet one feature (cheapest); `offset`
            adds a second pass shifted by a frame, so that each frame has its own; `duplicate`
            shows each frame twice, as images were shown in pretraining; `image` shows each frame
            alone, to V-JEPA 2.1 and to encoders of pictures.
        dtype: `auto` is bfloat16 on CUDA; on a CPU it is float32, but a tracker has features'
            products made in bfloat16 where the CPU has instructions for it.
    """

    source: str = MINI
    layers: tuple[int, ...] = (8,)
    input_size: tuple[int, int] = (256, 256)
    window: int = 2
    frame_mode: FrameMode = "tubelet"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    @classmethod
    def usual(
        cls,
        source: str,
        input_size: tuple[int, int],
        window: int,
        layers: Sequence[int] | None = None,
        frame_mode: FrameMode | None = None,
    ) -> BackboneConfig:
        """Return a config with an encoder's usual layers and natural frame mode where not given.

        Raises:
            UserError: no such source.
        """
        architecture = load_architecture(source)
        return cls(
            source,
            tuple(layers or usual_layers(architecture)),
            input_size,
            window,
            frame_mode or frame_modes(architecture)[0],
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "input_size", image_size("input_size", self.input_size))
        if self.frame_mode not in ("tubelet", "offset", "duplicate", "image"):
            raise UserError(
                f"frame_mode {self.frame_mode!r}: use tubelet, offset or duplicate, or image for "
                "V-JEPA 2.1 and encoders of pictures"
            )
        if self.window < 2 or self.window % 2:
            raise UserError(f"window {self.window}: use an even number of frames, such as 16")
        if self.dtype not in ("auto", "float32", "bfloat16", "float16"):
            raise UserError(f"dtype {self.dtype!r}: use auto, float32, bfloat16 or float16")
