"""Numbers that show whether features collapse: to a constant, to few dimensions, to position."""

from __future__ import annotations

import torch
from torch import Tensor


def feature_std(features: Tensor) -> float:
    """Standard deviation of `(M, C)` over M, mean over channels; 0 for constant features."""
    return float(features.float().std(0).mean())


def effective_rank(features: Tensor) -> float:
    """How many dimensions `(M, C)` features fill: 1 for a line, C for white noise.

    The exponential of the entropy of the normalised singular values of the centred features (Roy
    and Vetterli, "The effective rank", 2007); 0 for constant features.
    """
    centred = features.double() - features.double().mean(0)
    singular = torch.linalg.eigvalsh(centred.T @ centred).clamp(min=0).sqrt()
    # Eigenvalues are exact to about 1e-16 of the largest: below its root there is only rounding.
    singular = singular[singular > 1e-7 * singular.max()]
    if not len(singular):
        return 0.0
    share = singular / singular.sum()
    return float(torch.exp(-(share * share.log()).sum()))
