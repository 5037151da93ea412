"""Key frames: how important each frame of a clip is, and which ones to start tracks from.

Shapes: B clips, T frames, S tubelet slots, C channels, h x w patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tracker.analysis.features import Features, Settings, read_frames
from tracker.analysis.variability import l2_variability
from tracker.errors import UserError
from tracker.features.sources import load_architecture
from tracker.video.video import Video

MAX_FRAMES = 256
"""Longer videos are thinned evenly to at most so many frames before they are encoded."""

QUERY_FRAMES = 4


def frame_importance(features: Tensor) -> Tensor:
    """Return how much each slot differs from its clip's mean, normalised to a sum of 1.

    Args:
        features: `(B, S, C, h, w)`, residuals of the positional template.

    Returns:
        `(B, S)`; 1/S everywhere in a clip that does not change.
    """
    varied = l2_variability(features).mean((-2, -1))
    total = varied.sum(1, keepdim=True)
    even = torch.full_like(varied, 1 / varied.shape[1])
    return torch.where(total > 1e-6, varied / total.clamp(min=1e-6), even)


def select_keyframes(importance: Tensor, slot: Tensor, k: int) -> Tensor:
    """Choose `k` important frames of each clip, in temporal order.

    The most important frame is taken first, then the most important one at least `T // (2k)`
    frames from it, and so on: neighbours show the same thing. Such a frame is always left, for
    each choice excludes fewer than `T / k`.

    Args:
        importance: `(B, S)` in 0..1.
        slot: `(T,)` the slot of each frame, ascending.
        k: how many.

    Returns:
        `(B, k)` frame numbers; of frames that share a slot the first comes before all seconds.

    Raises:
        UserError: more frames are asked for than there are.
    """
    check_count(k, len(slot))
    times = torch.arange(len(slot))
    is_second = torch.zeros(len(slot))
    is_second[1:] = (slot[1:] == slot[:-1]).float()
    # Importance is at most 1, so taking 2 away puts every second frame behind every first.
    score = importance[:, slot] - 2 * is_second
    spacing = max(1, len(slot) // (2 * k))
    chosen = []
    for _ in range(k):
        best = score.argmax(dim=1, keepdim=True)
        chosen.append(best)
        score = score.masked_fill((times - best).abs() < spacing, -torch.inf)
    return torch.cat(chosen, dim=1).sort(dim=1).values


def uniform_keyframes(num_frames: int, k: int) -> list[int]:
    """Return the middle frames of `k` equal parts of a clip: what is used without features.

    >>> uniform_keyframes(16, 4)
    [2, 6, 10, 14]

    Raises:
        UserError: more frames are asked for than there are.
    """
    check_count(k, num_frames)
    return [(2 * i + 1) * num_frames // (2 * k) for i in range(k)]


def check_count(k: int, num_frames: int) -> None:
    """Raise UserError unless `k` frames can be chosen from so many."""
    if not 1 <= k <= num_frames:
        raise UserError(f"{k} key frames of {num_frames} frames; ask for 1 to {num_frames}")


@dataclass(frozen=True)
class Keyframes:
    """Chosen frames of one clip.

    Attributes:
        numbers: of the frames, ascending.
        importance: `raw` and `residual` importance `(T,)` of the frames that were encoded; empty
            where they were chosen uniformly.
        times: `(T,)` the number of each of these frames in the video.
        fallback: why there are no features, or "".
    """

    numbers: list[int]
    importance: dict[str, np.ndarray]
    times: list[int]
    fallback: str = ""


def open_or_explain(settings: Settings) -> tuple[Features | None, str]:
    """Open the features; where the checkpoint cannot be loaded, return None and the reason.

    Raises:
        UserError: the checkpoint is there, but the settings do not fit it.
    """
    try:
        load_architecture(settings.backbone)
    except UserError as error:
        return None, str(error)
    features = Features.open(settings)
    try:
        _ = features.backbone.model
    except UserError as error:
        return None, str(error)
    return features, ""


def clip_keyframes(features: Features, clip: Tensor, times: list[int], k: int) -> Keyframes:
    """Choose `k` frames of a clip `(T, 3, H, W)` whose frames have the numbers `times`."""
    volume = features.encode(clip)
    residual = features.residual(volume)
    versions = {"raw": volume.features} | ({} if residual is None else {"residual": residual})
    importance = {
        name: frame_importance(values[0]).mean(0, keepdim=True) for name, values in versions.items()
    }
    best = importance.get("residual", importance["raw"])
    chosen = select_keyframes(best, volume.slot, k)[0].tolist()
    curves = {name: values[0, volume.slot].numpy() for name, values in importance.items()}
    return Keyframes([times[i] for i in chosen], curves, times)


def video_keyframes(features: Features, video: Video, k: int) -> Keyframes:
    """Choose `k` frames of a video.

    Raises:
        UserError: fewer frames than `k`, or features that are not finite.
    """
    check_count(k, min(len(video), MAX_FRAMES))
    stride = -(-len(video) // MAX_FRAMES)
    thinned = video.select(stride=stride)
    times = list(range(0, len(video), stride))
    clip = read_frames(thinned, features.backbone.config.input_size)
    return clip_keyframes(features, clip, times, k)


def query_frames(video: Video, backbone: str, device: str = "cpu") -> Keyframes:
    """Choose up to `QUERY_FRAMES` frames of a video to start tracks from.

    Takes the template beside the backbone's weights, or fits one on 8 rendered clips.

    Raises:
        UserError: the backbone does not take 256 x 256 pixels, or features are not finite.
    """
    k = min(QUERY_FRAMES, len(video))
    settings = Settings(backbone, clips=8, device=device)
    features, reason = open_or_explain(settings)
    if features is None:
        return Keyframes(uniform_keyframes(len(video), k), {}, [], reason)
    features.fit(settings.clips)
    return video_keyframes(features, video, k)
