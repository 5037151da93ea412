"""What a tracker is made of, and what its parts say of frames.

Frozen backbone, positional template and head stand here side by side; how they are led through a
video is in `follower.py` and `stream.py`, and `PointTracker` is the door to all of it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from tracker.devices import bf16_products
from tracker.errors import UserError
from tracker.features.backbone import FrozenBackbone
from tracker.features.template import PositionalTemplate
from tracker.flow.fields import gray_frames
from tracker.head import TrackingHead
from tracker.head.tracking_head import FrameFeatures
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Share, in_silence
from tracker.tracking.config import TrackerConfig
from tracker.tracking.identity import Fingerprints
from tracker.video.pixels import shrink_to_sizes


class TrackingModel(nn.Module):
    """Frozen backbone, template and head.

    The backbone is not among the module's parameters: `state_dict()` is the head alone.

    Args:
        config: what it is made of.
        template: to subtract; None leaves features as they are (for ablations).
        backbone: an encoder already in memory, instead of the config's.
    """

    def __init__(
        self,
        config: TrackerConfig,
        template: PositionalTemplate | None = None,
        backbone: FrozenBackbone | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.backbone = None
        channels = 0
        if config.head.use_vjepa:
            self.backbone = backbone or FrozenBackbone(config.backbone)
            channels = self.backbone.channels
            if template is not None:
                template.check(self.backbone)
        self.template = template if config.head.use_vjepa else None
        self.head = TrackingHead(config.head, len(config.backbone.layers), channels)
        self.head.bf16 = config.backbone.dtype == "auto"

    @property
    def device(self) -> torch.device:
        """Where it runs; `tracker.to("cuda")` moves head and backbone."""
        return next(self.head.parameters()).device

    @property
    def fingerprints(self) -> Fingerprints:
        """Of the backbone and the template that the head depends on."""
        return Fingerprints.of(self.backbone, self.template)

    @property
    def fingerprint(self) -> str:
        """A hash of settings and weights: trackers of one fingerprint give the same tracks.

        It does not depend on where the files lie.
        """
        settings = self.config.to_dict()
        del settings["backbone"]["source"]
        known = [settings, self.fingerprints.to_dict()]
        digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
        for weight in self.head.state_dict().values():
            digest.update(weight.half().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def residuals(
        self, video: Tensor, on_share: Share = in_silence
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return content residuals `(B, L, S, C, h, w)` and each frame's slot `(T,)`.

        Args:
            video: `(B, T, 3, H, W)` in 0..1.
            on_share: called as the backbone goes on.
        """
        if self.backbone is None:
            return None, None
        volume = self.backbone(video, on_share)
        residuals = self.template.subtract(volume) if self.template else volume.features
        return residuals, volume.slot

    def describe(
        self,
        frames: np.ndarray,
        before: np.ndarray | None = None,
        on_share: Share = in_silence,
    ) -> FrameFeatures:
        """Compute the features of frames `(T, H, W, 3) uint8`.

        Args:
            frames: in order, of any size.
            before: earlier frames that the backbone may attend to as well.
            on_share: called as the backbone goes on.

        Returns:
            Of `frames` alone.

        Raises:
            UserError: a GPU has too little memory.
        """
        try:
            return self._describe(frames, before, on_share)
        except torch.cuda.OutOfMemoryError as error:
            raise UserError(
                f"the GPU ran out of memory with {len(frames)} frames at a time; lower "
                "inference.block, backbone.window or fine_size, or run on the CPU"
            ) from error

    def _describe(
        self, frames: np.ndarray, before: np.ndarray | None, on_share: Share
    ) -> FrameFeatures:
        skipped = 0 if before is None else len(before)
        seen = frames if before is None else np.concatenate([before, frames])
        sizes = [self.config.fine_size]
        if self.backbone is not None and self.backbone.config.input_size != self.config.fine_size:
            sizes.append(self.backbone.config.input_size)
        videos = shrink_to_sizes(seen, sizes, self.device)
        fine, video = videos[0], videos[-1]
        with bf16_products(self.device, self.head.bf16):
            residuals, slot = self.residuals(video, on_share)
        # The temporal adapter sees the slots of earlier frames, too; they are left out after it.
        slot = None if slot is None else slot[skipped:]
        features = self.head.describe(residuals, slot, fine[:, skipped:])
        if not self.config.head.reads_flow or self.config.inference.iterations == 0:
            return features
        return replace(features, gray=gray_frames(frames))

    def fine_queries(self, queries: Queries, size: tuple[int, int]) -> Tensor:
        """Return queries in frames of `size` `(W, H)` as `(N, 3)`, in frame and fine pixels."""
        height, width = self.config.fine_size
        return torch.from_numpy(queries.scaled(size, (width, height)).txy).to(self.device)

    def tracks_of(
        self, xy: Tensor, confidence: Tensor, queries: Queries, size: tuple[int, int], fps: float
    ) -> Tracks:
        """Return what the head found, fine `xy (N, T, 2)`, in pixels of frames of `size`."""
        height, width = self.config.fine_size
        scale = np.array([size[0] / width, size[1] / height], np.float32)
        pixels = xy.float().cpu().numpy() * scale
        certainty = confidence.float().cpu().numpy()
        names = queries.names
        tracks = Tracks(pixels, certainty > 0, queries.txy, size, fps, certainty, names)
        return tracks.shown_from(self.config.inference.shown_from)
