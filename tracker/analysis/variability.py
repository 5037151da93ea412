"""Where in a clip the features change over time, and whether that is where the object is.

Shapes: S tubelet slots, C channels, h x w patches, T frames, H x W pixels.
"""

from __future__ import annotations

import torch
from einops import reduce
from torch import Tensor

from tracker.extras import needs

INSIDE = 0.5
"""A token lies on the object where the object covers at least this share of its pixels."""


def l2_variability(features: Tensor) -> Tensor:
    """Distance of each token from the mean over time at its patch.

    Args:
        features: `(..., S, C, h, w)`.

    Returns:
        `(..., S, h, w)` root mean square over channels.
    """
    deviation = features - features.mean(-4, keepdim=True)
    return deviation.square().mean(-3).sqrt()


def cosine_variability(features: Tensor) -> Tensor:
    """One minus the cosine between each token and the mean over time at its patch.

    Args:
        features: `(..., S, C, h, w)`.

    Returns:
        `(..., S, h, w)` in 0..2.
    """
    return 1 - torch.cosine_similarity(features, features.mean(-4, keepdim=True), dim=-3)


MEASURES = {"l2": l2_variability, "cosine": cosine_variability}


def tokens_on_object(mask: Tensor, slots: int, grid: tuple[int, int]) -> Tensor:
    """Return `(S, h, w)` bool, which tokens an object of mask `(T, H, W)` mostly covers.

    T, H and W are multiples of the slots and of the grid.
    """
    h, w = grid
    cover = reduce(mask.float(), "(s t) (h y) (w x) -> s h w", "mean", s=slots, h=h, w=w)
    return cover >= INSIDE


def overlap(variability: Tensor, inside: Tensor) -> dict[str, float]:
    """Measure whether variability is high on the object.

    Args:
        variability: `(S, h, w)`.
        inside: `(S, h, w)` bool; some tokens are inside and some are not.

    Returns:
        `auc`: chance that a token on the object varies more than one off it (0.5 is no relation);
        `inside_over_outside`: ratio of mean variability; `iou`: intersection over union of the
        object with as many most variable tokens as the object has; `iou_chance`: what such an
        IoU would be if the tokens were drawn at random.
    """
    with needs("analysis"):
        from sklearn.metrics import roc_auc_score

    score, truth = variability.flatten(), inside.flatten()
    count, total = int(truth.sum()), truth.numel()
    top = torch.zeros_like(truth)
    top[score.topk(count).indices] = True
    by_chance = count / total
    return {
        "auc": float(roc_auc_score(truth.numpy(), score.numpy())),
        "inside_over_outside": float(score[truth].mean() / score[~truth].mean().clamp(min=1e-12)),
        "iou": float((top & truth).sum() / (top | truth).sum()),
        "iou_chance": by_chance / (2 - by_chance),
    }
