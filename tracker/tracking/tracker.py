"""`PointTracker`: frozen backbone, positional template and head behind one door.

tracker = PointTracker.from_pretrained("mini")
tracks = tracker.track(load_video("clip.mp4"), Queries.grid(16, size=(640, 360)))

session = tracker.open(video)
tracks = session.track(queries)      # again and again: frames are described once

stream = tracker.stream(queries, size=(640, 360))
for chunk in video.chunks(8):
    tracks = stream.push(chunk)      # the tracks of these frames, causally
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import torch

from tracker.devices import check_device
from tracker.errors import UserError
from tracker.memory import BoundedMemory
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks
from tracker.progress import Progress
from tracker.tracking.model import TrackingModel
from tracker.tracking.saving import find_folder, load_folder, save_folder
from tracker.tracking.session import TrackSession
from tracker.tracking.stream import FLOW_MEMORY, TrackStream
from tracker.video.loading import load_video

if TYPE_CHECKING:
    from tracker.points.queries import QueriesLike
    from tracker.video.loading import VideoLike

TRACK_MEMORY = 256 * 2**20
"""Bytes that one call may keep for its way back in time."""

SESSION_MEMORY = 2**30
"""Bytes that a session may keep: about 200 frames of 640x360."""


class PointTracker(TrackingModel):
    """Follows any point through any video; its parts are those of `TrackingModel`."""

    def track(
        self, video: VideoLike, queries: QueriesLike, progress: Progress | bool | None = None
    ) -> Tracks:
        """Follow queries through a whole video, forwards and backwards in time.

        Args:
            video: of any size and length, whatever `load_video` takes; memory does not grow with
                the length of a file.
            queries: in frames and pixels of the video, whatever `Queries.of` takes; rows of one
                name are places of one point, and its track goes through all of them.
            progress: True shows a bar, False none, None one in notebooks for long videos; or a
                function that is called with steps done and steps in all.

        Returns:
            Tracks in pixels of the video.

        Raises:
            UserError: a query lies outside the video, or frames cannot be decoded.
        """
        queries = Queries.of(queries)
        return self._open_once(video, queries).track(queries, progress)

    def track_blocks(
        self,
        video: VideoLike,
        queries: QueriesLike,
        on_block: Callable[[Tracks], object],
        progress: Progress | bool | None = None,
    ) -> Tracks:
        """Follow queries as `track` does, and tell of each block of frames once it is done.

        Args:
            video: as there.
            queries: as there.
            on_block: called after each block with the tracks of all frames so far; not at all
                where later frames may change them, because some points are asked for later.
            progress: as there.

        Returns:
            All tracks, as `track` does.

        Raises:
            UserError: as there.
        """
        queries = Queries.of(queries)
        return self._open_once(video, queries).track(queries, progress, on_block)

    def _open_once(self, video: VideoLike, queries: Queries) -> TrackSession:
        """Return a session for one call: without a way back, it has use for flow alone."""
        returns = queries.t.max(initial=0) >= self.config.inference.block
        return self.open(video, TRACK_MEMORY if returns else FLOW_MEMORY)

    def open(self, video: VideoLike, memory: int = SESSION_MEMORY) -> TrackSession:
        """Return a session, whose `track` may be called again, and whose tracks can be put right.

        Args:
            video: of any size and length, whatever `load_video` takes.
            memory: bytes of features and flow that may be kept for the next call; what has no
                room is computed again, to the same result.
        """
        return TrackSession(self.eval(), load_video(video), BoundedMemory(memory))

    def stream(self, queries: QueriesLike, size: tuple[int, int], fps: float = 24.0) -> TrackStream:
        """Follow queries through frames as they come, causally and in constant memory.

        Args:
            queries: in frames counted from the first that will be pushed, and pixels; whatever
                `Queries.of` takes.
            size: `(W, H)` of those frames.
            fps: frames per second, to be kept in the tracks.

        Raises:
            UserError: a query lies outside the frame.
        """
        return TrackStream(self.eval(), Queries.of(queries), size, fps)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move head and backbone, as `torch.nn.Module.to` does.

        A device may be `auto` as well: a GPU where there is one, else the CPU.

        Raises:
            UserError: there is no such device.
        """
        if args and isinstance(args[0], str):
            args = (check_device(args[0]), *args[1:])
        elif isinstance(kwargs.get("device"), str):
            kwargs["device"] = check_device(kwargs["device"])
        return super().to(*args, **kwargs)

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
        device: str | torch.device = "cpu",
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
    ) -> PointTracker:
        """Load a tracker: `mini`, a folder that `save_pretrained` wrote, or a hub id.

        Args:
            name_or_path: which one.
            changes: settings of its `TrackerConfig` to replace, nested as there, such as
                `{"fine_size": [384, 384], "inference": {"iterations": 6}}`.
            template: a file to use instead of its own; a template belongs to an input size and a
                window, so it must be another where `changes` has others.
            device: where it goes, as torch names devices, or `auto`: a GPU where there is one.
            revision: of a hub id: branch, tag or commit.
            cache_dir: where downloads are kept; None takes the hub's own folder.
            token: of an account that may read a private repository.
            force_download: whether to download what is there already.
            local_files_only: whether to keep to what is there already.

        Returns:
            The tracker. Its backbone and template are those that it was saved with, or
            those that were named here.

        Raises:
            UserError: it is not there; a file is missing, damaged or another tracker's; or its
                weights do not fit its config.
        """
        target = check_device(device)
        hub = {
            "revision": revision,
            "cache_dir": cache_dir,
            "token": token,
            "force_download": force_download,
            "local_files_only": local_files_only,
        }
        folder = find_folder(str(name_or_path), hub)
        return load_folder(cls, folder, changes or {}, template).to(target)


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
        return PointTracker.from_pretrained(name, changes, device=device)


pretrained_trackers = PretrainedTrackers()
