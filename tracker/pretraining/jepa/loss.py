"""Losses between predictions and targets, and against collapse."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def normalised(features: Tensor) -> Tensor:
    """Layer-normalise `(..., C)` without gains, as V-JEPA does with its targets."""
    return F.layer_norm(features.float(), features.shape[-1:])


def weighted_l1(predicted: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean absolute difference of `(B, N, C)`; `weight` is `(B, N)`, each token's."""
    error = (predicted.float() - target).abs().mean(-1)
    return error.mean() if weight is None else (error * weight).mean()


def deviations(tokens: Tensor, places: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return tokens less their mean, `(M, C)`, and the degrees of freedom that remain.

    Args:
        tokens: `(B, N, C)`.
        places: `(B, N)` the place of each token: means are then taken at each place over the batch.
            None: one mean for all.
    """
    flat = tokens.flatten(0, 1)
    if places is None:
        return flat - flat.mean(0), flat.new_tensor(float(len(flat) - 1))
    kinds, place = places.flatten().unique(return_inverse=True)
    count = torch.bincount(place, minlength=len(kinds)).to(flat)
    mean = flat.new_zeros(len(kinds), flat.shape[1]).index_add(0, place, flat) / count[:, None]
    return flat - mean[place], flat.new_tensor(float(len(flat) - len(kinds)))


def variance_and_covariance(tokens: Tensor, places: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return VICReg's variance and covariance terms (Bardes et al., arXiv 2105.04906, eq. 1-4).

    Args:
        tokens: `(B, N, C)` layer-normalised, so that a standard deviation of 1 in every channel
            is the most that all channels can have.
        places: as for `deviations`. Where no place is seen twice, both terms are 0.
    """
    centred, freedom = deviations(tokens, places)
    with torch.autocast(tokens.device.type, enabled=False):  # a sum over thousands of tokens
        covariance = centred.T @ centred / freedom.clamp(min=1)
    # The root's slope is infinite at 0: VICReg adds this constant for it.
    std = (covariance.diagonal() + 1e-4).sqrt()
    off_diagonal = covariance.square().sum() - covariance.diagonal().square().sum()
    known = (freedom > 0).to(tokens)
    return known * F.relu(1 - std).mean(), known * off_diagonal / tokens.shape[-1]
