"""`PointTracker`: frozen backbone, positional template and head behind one door.

tracker = PointTracker.from_pretrained("mini")
tracks = tracker.track(load_video("clip.mp4"), Queries.grid(16, size=(640, 360)))

stream = tracker.stream(queries, size=(640, 360))
for chunk in video.chunks(8):
    tracks = stream.push(chunk)      # the tracks of these frames, causally
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from tracker.devices import check_device
from tracker.errors import UserError
from tracker.head.tracking_head import FrameFeatures
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.registry import Progress
from tracker.tracking.follower import follow_blocks
from tracker.tracking.model import TrackingModel
from tracker.tracking.saving import find_folder, load_folder, save_folder
from tracker.tracking.stream import TrackStream
from tracker.video.video import Video


class PointTracker(TrackingModel):
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
            fps: frames per second, to be kept in the tracks.

        Raises:
            UserError: a query lies outside the frame.
        """
        # A stream has no end, so any frame number from 0 on is fine.
        queries.check(size, int(queries.t.max(initial=0)) + 1)
        return TrackStream(self.eval(), queries, size, fps)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that `from_pretrained` reads: config, head, template and backbone.

        A backbone that a name is enough to find, the hub's or a shipped one, stays a name; one from
        a folder is copied and one in memory written, so that the tracker can be moved.

        Args:
            folder: made where it is missing.

        Raises:
            UserError: the folder cannot be written.
        """
        save_folder(self, Path(folder))

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Upload what `save_pretrained` writes to the Hugging Face hub.

        Args:
            repo_id: `owner/name`; made where it is missing.
            private: whether a repository that is made is seen by its owner alone.
            token: of an account that may write there; None takes the one that is logged in.

        Returns:
            Address of the upload.

        Raises:
            UserError: the hub refused, or cannot be reached.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        api = HfApi(token=token)
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            try:
                api.create_repo(repo_id, private=private, exist_ok=True)
                return api.upload_folder(repo_id=repo_id, folder_path=folder)
            except (HfHubHTTPError, HFValidationError, OSError) as error:
                reason = " ".join(str(error).split())[:160]
                raise UserError(
                    f"cannot push to {repo_id} ({reason}); check name, token and network"
                ) from error

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
            **hub: `revision`, `cache_dir`, `token` and the like, for a hub id.

        Returns:
            The tracker, on the CPU. Its backbone and template are those that it was saved with, or
            those that were named here.

        Raises:
            UserError: it is not there; a file is missing, damaged or another tracker's; or its
                weights do not fit its config.
        """
        return load_folder(cls, find_folder(str(name_or_path), hub), changes or {}, template)


class PretrainedTrackers:
    """Entry in the registry: `vjepa` is the shipped tracker, `vjepa@NAME_OR_PATH` any other."""

    def __call__(self, changes: dict[str, Any] | None = None, device: str = "auto") -> PointTracker:
        """Load the shipped tracker; see `from_argument`."""
        return self.from_argument("mini", changes, device)

    def from_argument(
        self, name: str, changes: dict[str, Any] | None = None, device: str = "auto"
    ) -> PointTracker:
        """Load a tracker and bring it to a device; see `PointTracker.from_pretrained`.

        Raises:
            UserError: as there, or no such device.
        """
        target = check_device(device)
        return PointTracker.from_pretrained(name, changes).to(target)


pretrained_trackers = PretrainedTrackers()
