"""What training the tracker's head consists of: its step, its validation, its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tracker.data.benchmark import Benchmark, Sample
from tracker.data.training import TrackedClips, query_positions
from tracker.errors import UserError
from tracker.evaluation import EvaluationSettings, score_sample, track_sample
from tracker.flow import FlowProposals
from tracker.head.tracking_head import FrameFeatures, TrackingHead
from tracker.losses import LossConfig, matching_loss, tracking_loss
from tracker.metrics import mean_metrics, sample_queries
from tracker.model import WEIGHTS, PointTracker, load_head
from tracker.pixels import resize
from tracker.tracks import Tracks

REFINEMENT = "refine."
"""How the names of the weights begin that a head of the coarse match alone lacks."""


class HeadWithLoss(nn.Module):
    """The head and its loss in one `forward`, as data-parallel training needs it."""

    def __init__(self, tracker: PointTracker, loss: LossConfig) -> None:
        super().__init__()
        self.head = tracker.head
        self._loss = loss

    def forward(
        self, residuals: Tensor | None, slot: Tensor | None, fine: Tensor, clips: TrackedClips
    ) -> dict[str, Tensor]:
        """Return the losses; `fine` is `(B, T, 3, H, W)`, positions are pixels of it."""
        size = (fine.shape[-1], fine.shape[-2])
        scale = clips.xy.new_tensor(
            [size[0] / clips.video.shape[-1], size[1] / clips.video.shape[-2]]
        )
        xy = clips.xy * scale
        features = self.head.describe(residuals, slot, fine)
        frames = torch.arange(xy.shape[2], device=xy.device)
        time_to_query = frames - clips.query_frame[..., None]
        flow = clips.flow and FlowProposals(clips.flow.xy * scale, clips.flow.sure)
        losses = self._track(features, clips, xy, flow, time_to_query, size)
        if self._loss.matching:
            losses["matching"] = matching_loss(
                features.levels,
                clips.query_frame,
                xy,
                clips.visible & (time_to_query != 0),
                size,
                self._loss.temperature,
            )
            losses["loss"] = losses["loss"] + self._loss.matching * losses["matching"]
        return losses

    def _track(
        self,
        features: FrameFeatures,
        clips: TrackedClips,
        xy: Tensor,
        flow: FlowProposals | None,
        time_to_query: Tensor,
        size: tuple[int, int],
    ) -> dict[str, Tensor]:
        """Follow the first points of each clip and compare with their truth."""
        few = slice(self._loss.followed)
        xy, frame, time = xy[:, few], clips.query_frame[:, few], time_to_query[:, few]
        queries = self.head.take_queries(features, query_positions(xy, frame), frame)
        output = self.head.follow(features, queries, time, flow and flow.points(few))
        return tracking_loss(output, xy, clips.visible[:, few], time != 0, size, self._loss)


class TrackingTask:
    """Trains a tracker's head; its backbone is only read.

    Args:
        tracker: on the device that trains.
        loss: weights of the loss.
        validation: held-out videos.
    """

    best_metric = "average_jaccard"

    def __init__(self, tracker: PointTracker, loss: LossConfig, validation: Benchmark) -> None:
        self.tracker = tracker
        self.model = HeadWithLoss(tracker, loss)
        self.averaged = tracker.head
        self._validation = validation
        self._samples: list[Sample] = []

    def inputs(self, batch: TrackedClips) -> tuple[Tensor | None, Tensor | None, Tensor, object]:
        """Return what `HeadWithLoss` takes, the frozen features among it."""
        residuals, slot = self.tracker.residuals(batch.video)
        return residuals, slot, resize(batch.video, self.tracker.config.fine_size), batch

    def after_step(self, progress: float) -> None:
        """Nothing follows a step."""

    def validate(self, picture: bool) -> tuple[dict[str, float], np.ndarray | None]:
        """Track the held-out videos as a user would; return TAP-Vid's means (`first` queries)."""
        self._samples = self._samples or [load() for _, load in self._validation]
        settings = EvaluationSettings()
        results = [track_sample(self.tracker, sample, settings)[0] for sample in self._samples]
        scores = [
            score_sample(tracks, sample, "first")
            for tracks, sample in zip(results, self._samples, strict=True)
        ]
        drawn = draw_validation(self._samples[0], results[0]) if picture else None
        return mean_metrics(scores), drawn

    def save(self, folder: Path) -> None:
        """Write the whole tracker, so that the folder can be tracked with."""
        self.tracker.save_pretrained(folder)


def draw_validation(sample: Sample, tracks: Tracks) -> np.ndarray:
    """Return a picture of predicted tracks above true ones."""
    from tracker.visualize import contact_sheet

    video = sample.video
    truth = sample_queries(sample.points * video.size, sample.occluded, "first")
    true_tracks = Tracks(truth.xy, ~truth.occluded, truth.queries, video.size, video.fps)
    return np.concatenate([contact_sheet(video, t, 4, 1) for t in (tracks, true_tracks)])


def train_only(head: TrackingHead, part: str) -> None:
    """Freeze all of the head but one part. The last, `refine`, then costs no gradients of features.

    Raises:
        UserError: the head has no such part.
    """
    parts = [name for name, _ in head.named_children()]
    if part not in parts:
        raise UserError(f"train_only={part} is no part of the head; it has {', '.join(parts)}")
    head.requires_grad_(False)
    head.get_submodule(part).requires_grad_(True)


def start_from(tracker: PointTracker, path: str) -> None:
    """Begin with the head's weights of another tracker; one without refinement gives the rest.

    Raises:
        UserError: they are missing or damaged, or do not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = Path(path) / WEIGHTS
    if not file.is_file():
        raise UserError(f"warm_start: {file} does not exist; name a tracker's folder")
    try:
        state = load_file(file)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"warm_start: {file} is damaged ({error}); copy or save it again"
        ) from error
    if not any(name.startswith(REFINEMENT) for name in state):
        fresh = tracker.head.state_dict()
        state.update((k, v) for k, v in fresh.items() if k.startswith(REFINEMENT))
    load_head(tracker, state, str(file), "of this run")
