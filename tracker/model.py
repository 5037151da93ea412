"""`PointTracker`: frozen backbone, positional template and head behind one door.

tracker = PointTracker.from_pretrained("mini")
tracks = tracker.track(load_video("clip.mp4"), Queries.grid(16, size=(640, 360)))

stream = tracker.stream(queries, size=(640, 360))
for chunk in video.chunks(8):
    tracks = stream.push(chunk)      # the tracks of these frames, causally
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from tracker.backbone import ASSETS, SHIPPED_BACKBONES, FrozenBackbone
from tracker.devices import check_device
from tracker.errors import UserError
from tracker.files import atomic_path, prepare_output_dir, save_tensors
from tracker.flow import gray_frames
from tracker.head import TrackingHead
from tracker.head.tracking_head import FrameFeatures
from tracker.inference import follow_blocks
from tracker.pixels import shrink_frames
from tracker.queries import Queries
from tracker.registry import Progress
from tracker.stream import TrackStream
from tracker.template import PositionalTemplate
from tracker.tracker_config import TrackerConfig, replace_settings
from tracker.tracks import Tracks
from tracker.video import Video

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TEMPLATE = "template.safetensors"
BACKBONE = "backbone"


class PointTracker(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="vjepa-tracker",
    license="apache-2.0",
    tags=["point-tracking", "v-jepa-2"],
):
    """Follows any point through any video.

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

    @property
    def device(self) -> torch.device:
        """Where it runs; `tracker.to("cuda")` moves head and backbone."""
        return next(self.head.parameters()).device

    @property
    def fingerprint(self) -> str:
        """A hash of settings and weights: trackers of one fingerprint give the same tracks."""
        digest = hashlib.sha256(json.dumps(self.config.to_dict(), sort_keys=True).encode())
        if self.backbone is not None:
            digest.update(self.backbone.fingerprint().encode())
        if self.template is not None:
            # In the precision it is saved with, as the head's weights below.
            digest.update(self.template.mean.half().numpy().tobytes())
            digest.update(self.template.std.numpy().tobytes())
        for weight in self.head.state_dict().values():
            digest.update(weight.half().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def residuals(self, video: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return content residuals `(B, L, S, C, h, w)` and each frame's slot `(T,)`.

        Args:
            video: `(B, T, 3, H, W)` in 0..1.
        """
        if self.backbone is None:
            return None, None
        volume = self.backbone(video)
        residuals = self.template.subtract(volume) if self.template else volume.features
        return residuals, volume.slot

    def describe(self, frames: np.ndarray, before: np.ndarray | None = None) -> FrameFeatures:
        """Compute the features of frames `(T, H, W, 3) uint8`.

        Args:
            before: earlier frames that the backbone may attend to as well.
        """
        try:
            return self._describe(frames, before)
        except torch.cuda.OutOfMemoryError as error:
            raise UserError(
                f"the GPU ran out of memory with {len(frames)} frames at a time; lower "
                "inference.block, backbone.window or fine_size, or run on the CPU"
            ) from error

    def _describe(self, frames: np.ndarray, before: np.ndarray | None) -> FrameFeatures:
        skipped = 0 if before is None else len(before)
        seen = frames if before is None else np.concatenate([before, frames])
        fine = video = shrink_frames(seen, self.config.fine_size, self.device)
        if self.backbone is not None and self.backbone.config.input_size != self.config.fine_size:
            video = shrink_frames(seen, self.config.backbone.input_size, self.device)
        residuals, slot = self.residuals(video)
        if slot is not None:
            slot = slot[skipped:]
            first = int(slot.min())
            residuals, slot = residuals[:, :, first:], slot - first
        features = self.head.describe(residuals, slot, fine[:, skipped:])
        if not self.config.head.reads_flow or self.config.inference.iterations == 0:
            return features
        return replace(features, gray=gray_frames(frames))

    @torch.inference_mode()
    def track(self, video: Video, queries: Queries, progress: Progress | None = None) -> Tracks:
        """Follow queries through a whole video, forwards and backwards in time.

        Args:
            video: of any size and length; memory does not grow with its length.
            queries: in frames and pixels of the video.
            progress: called with steps done and steps in all.

        Returns:
            Tracks in pixels of the video.

        Raises:
            UserError: a query lies outside the video, or frames cannot be decoded.
        """
        queries.check(video.size, len(video))
        self.eval()
        config = self.config.inference
        reach = self.config.backbone.window if self.backbone else 0

        def features_of(start: int, stop: int) -> FrameFeatures:
            # A short block at the end borrows frames before it to fill the backbone's window.
            lead = min(start, max(0, reach - (stop - start)))
            frames = video.read(start - lead, stop)
            return self.describe(frames[lead:], frames[:lead] if lead else None)

        fine = self.fine_queries(queries, video.size)
        told = progress or (lambda done, total: None)
        result = follow_blocks(self.head, fine, len(video), features_of, config, told)
        return self.tracks_of(result.xy, result.confidence, queries, video.size, video.fps)

    def stream(self, queries: Queries, size: tuple[int, int], fps: float = 24.0) -> TrackStream:
        """Follow queries through frames as they come, causally and in constant memory.

        Args:
            queries: in frames counted from the first that will be pushed, and pixels.
            size: `(W, H)` of those frames.

        Raises:
            UserError: a query lies outside the frame.
        """
        # A stream has no end, so any frame number from 0 on is fine.
        queries.check(size, int(queries.frames.max(initial=0)) + 1)
        return TrackStream(self.eval(), queries, size, fps)

    def fine_queries(self, queries: Queries, size: tuple[int, int]) -> Tensor:
        """Return queries in frames of `size` `(W, H)` as `(N, 3)`, in frame and fine pixels."""
        height, width = self.config.fine_size
        return torch.from_numpy(queries.scaled(size, (width, height)).txy).to(self.device)

    def tracks_of(
        self, xy: Tensor, confidence: Tensor, queries: Queries, size: tuple[int, int], fps: float
    ) -> Tracks:
        """Return what the head found, fine `xy (N, T, 2)`, in pixels of frames of `size`."""
        height, width = self.config.fine_size
        scale = np.float32([size[0] / width, size[1] / height])
        pixels = xy.float().cpu().numpy() * scale
        sure = confidence.float().cpu().numpy()
        tracks = Tracks(pixels, sure > 0, queries.txy, size, fps, sure)
        return tracks.shown_from(self.config.inference.shown_from)

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write config, head, template, and the backbone unless it is the hub's or our own."""
        folder = prepare_output_dir(save_directory)
        content = self.config.to_dict()
        source = content["backbone"]["source"]
        if self.backbone is not None and source not in SHIPPED_BACKBONES and Path(source).is_dir():
            content["backbone"]["source"] = BACKBONE
            copy_backbone(Path(source), folder / BACKBONE)
        with atomic_path(folder / CONFIG) as partial:
            partial.write_text(json.dumps(content, indent=2) + "\n")
        if self.template is not None:
            self.template.save(folder / TEMPLATE)
        else:
            (folder / TEMPLATE).unlink(missing_ok=True)
        state = {k: v.detach().half().contiguous().cpu() for k, v in self.head.state_dict().items()}
        save_tensors(state, folder / WEIGHTS)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        changes: dict[str, Any] | None = None,
        template: str | Path | None = None,
        **hub: Any,
    ) -> PointTracker:
        """Load a tracker: `mini`, a folder that `save_pretrained` wrote, or a hub id.

        Args:
            name_or_path: which one.
            changes: settings of its `TrackerConfig` to replace, nested as there, such as
                `{"fine_size": [384, 384], "inference": {"iterations": 6}}`.
            template: a file to use instead of its own; a template belongs to an input size and a
                window, so it must be another where `changes` has others.
            hub: `revision`, `cache_dir`, `token` and the like, for a hub id.

        Raises:
            UserError: it is not there, damaged, or its weights do not fit its config.
        """
        return load_folder(_find(str(name_or_path), hub), changes or {}, template)


def _find(name: str, hub: dict[str, Any]) -> Path:
    """Return the folder of a tracker, downloading it where the name is a hub id."""
    if (ASSETS / name / CONFIG).is_file():
        return ASSETS / name
    if Path(name).is_dir():
        return Path(name)
    shipped = ", ".join(p.parent.name for p in ASSETS.glob(f"*/{CONFIG}")) or "none"
    if name.count("/") != 1 or Path(name).parent.is_dir():
        raise UserError(f"no tracker {name!r}: neither shipped ({shipped}) nor a folder here")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(name, **hub))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"no tracker {name!r}: neither shipped ({shipped}), nor a folder, nor a hub id that "
            f"could be fetched ({reason})"
        ) from error


def copy_backbone(source: Path, target: Path) -> None:
    """Copy a checkpoint's config and weights, unless they are there already."""
    target.mkdir(exist_ok=True)
    for pattern in ("config.json", "*.safetensors", "*.safetensors.index.json"):
        for file in source.glob(pattern):
            copy = target / file.name
            # A run saves its tracker often, and a large backbone never changes.
            if not (copy.exists() and filecmp.cmp(file, copy)):
                shutil.copy2(file, copy)


def load_folder(
    folder: Path, changes: dict[str, Any], template: str | Path | None = None
) -> PointTracker:
    """Load what `save_pretrained` wrote, with some of its settings or its template replaced.

    Raises:
        UserError: a file is missing or damaged, or the weights do not fit the config.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"tracker {folder} has no {name}; copy or save it again")
    try:
        content = json.loads((folder / CONFIG).read_text())
    except ValueError as error:
        raise UserError(
            f"{folder / CONFIG} is not JSON ({error}); save the tracker again"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("backbone"), dict):
        raise UserError(f"{folder / CONFIG} is not a tracker's config; save the tracker again")
    if content["backbone"].get("source") == BACKBONE:
        content["backbone"]["source"] = str((folder / BACKBONE).resolve())
    config = TrackerConfig.from_dict(replace_settings(content, changes))
    if template is None and (folder / TEMPLATE).exists():
        template = folder / TEMPLATE
    tracker = PointTracker(config, PositionalTemplate.load(template) if template else None)
    try:
        state = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{folder / WEIGHTS} is damaged ({error}); copy or save it again"
        ) from error
    load_head(tracker, state, str(folder / WEIGHTS), str(folder / CONFIG))
    return tracker.eval()


def load_head(tracker: PointTracker, state: dict[str, Tensor], weights: str, config: str) -> None:
    """Load head weights, or say that they belong to another config.

    Raises:
        UserError: names both files and the first weight that differs.
    """
    wanted = {k: tuple(v.shape) for k, v in tracker.head.state_dict().items()}
    given = {k: tuple(v.shape) for k, v in state.items()}
    different = sorted(k for k in wanted.keys() | given.keys() if wanted.get(k) != given.get(k))
    if different:
        key = different[0]
        raise UserError(
            f"weights {weights} do not fit config {config}: {key} is "
            f"{given.get(key, 'missing')} there but {wanted.get(key, 'absent')} here, and "
            f"{len(different) - 1} more differ; use the config and version they were trained with"
        )
    tracker.head.load_state_dict({k: v.float() for k, v in state.items()})


class PretrainedTracker:
    """Registry entry: `vjepa` is the shipped tracker, `vjepa@NAME_OR_PATH` any other."""

    def __new__(cls, changes: dict[str, Any] | None = None, device: str = "auto") -> PointTracker:
        return cls.from_argument("mini", changes, device)

    @staticmethod
    def from_argument(
        name: str, changes: dict[str, Any] | None = None, device: str = "auto"
    ) -> PointTracker:
        target = check_device(device)
        return PointTracker.from_pretrained(name, changes).to(target)
