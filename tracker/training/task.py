"""What training the tracker's head consists of: its step, its validation, its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tracker.datasets.benchmark import Benchmark, Sample
from tracker.evaluation.metrics import mean_metrics, sample_queries
from tracker.evaluation.run import EvaluationSettings, score_sample, track_sample
from tracker.flow.chains import FlowProposals
from tracker.head.tracking_head import FrameFeatures
from tracker.points.tracks import Tracks
from tracker.tracking.tracker import PointTracker
from tracker.training.batches import TrackedClips, query_positions
from tracker.training.losses import LossConfig, matching_loss, tracking_loss
from tracker.video.pixels import resize


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
        flow = clips.flow and FlowProposals(clips.flow.xy * scale, clips.flow.certainty)
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
        followed = slice(self._loss.followed)
        xy, frame, time = (
            xy[:, followed],
            clips.query_frame[:, followed],
            time_to_query[:, followed],
        )
        queries = self.head.take_queries(features, query_positions(xy, frame), frame)
        output = self.head.follow(features, queries, time, flow and flow.select_points(followed))
        return tracking_loss(output, xy, clips.visible[:, followed], time != 0, size, self._loss)


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
    from tracker.points.drawing import contact_sheet

    video = sample.video
    truth = sample_queries(sample.points * video.size, sample.occluded, "first")
    true_tracks = Tracks(truth.xy, ~truth.occluded, truth.queries, video.size, video.fps)
    return np.concatenate([contact_sheet(video, t, 4, 1) for t in (tracks, true_tracks)])
