"""`PointTracker`: frozen backbone, positional template and head behind one door.

tracker = PointTracker.from_pretrained("mini")
tracks = tracker.track(load_video("clip.mp4"), Queries.grid(16, size=(640, 360)))

stream = tracker.stream(queries, size=(640, 360))
for chunk in video.chunks(8):
    tracks = stream.push(chunk)      # the tracks of these frames, causally
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin

from tracker.devices import check_device
from tracker.features.checkpoints import SHIPPED_BACKBONES
from tracker.files import atomic_path, prepare_output_dir, save_tensors
from tracker.head.tracking_head import FrameFeatures
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.registry import Progress
from tracker.tracking.follower import follow_blocks
from tracker.tracking.model import TrackingModel
from tracker.tracking.saving import (
    BACKBONE,
    CONFIG,
    TEMPLATE,
    WEIGHTS,
    copy_backbone,
    find_folder,
    load_folder,
)
from tracker.tracking.stream import TrackStream
from tracker.video.video import Video


class PointTracker(
    TrackingModel,
    PyTorchModelHubMixin,
    library_name="vjepa-tracker",
    license="apache-2.0",
    tags=["point-tracking", "v-jepa-2"],
):
    """Follows any point through any video; its parts are those of `TrackingModel`."""

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
        on_progress = progress or (lambda done, total: None)
        result = follow_blocks(self.head, fine, len(video), features_of, config, on_progress)
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
        queries.check(size, int(queries.t.max(initial=0)) + 1)
        return TrackStream(self.eval(), queries, size, fps)

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
        return load_folder(cls, find_folder(str(name_or_path), hub), changes or {}, template)


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
