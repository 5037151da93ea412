"""The optimisers of a run: AdamW, or Muon for matrices between hidden layers and AdamW beside it.

Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon) takes for each matrix's
momentum the nearest orthogonal one, so that all its directions learn at one rate. AdamW lets the
few large ones lead, and a transformer that starts from nothing spends thousands of steps on that.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tracker.training.config import TrainingConfig

NEWTON_SCHULZ_STEPS = 3
"""Iterations towards the orthogonal matrix; five learn no better and take longer."""


def open_optimizers(
    config: TrainingConfig,
    model: nn.Module,
    hidden: nn.Module,
) -> list[Optimizer]:
    """Return optimisers for what of a model is trained.

    Args:
        config: which, and with what rates.
        model: whose parameters with `requires_grad` are trained.
        hidden: the part of it whose linear layers' weights Muon takes.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = _matrices(hidden) if config.optimizer == "muon" else []
    taken = {id(p) for p in matrices}
    others = [p for p in trained if id(p) not in taken]
    optimizers: list[Optimizer] = [
        torch.optim.AdamW(
            others,
            lr=config.learning_rate,
            betas=(0.9, config.beta2),
            weight_decay=config.weight_decay,
            fused=True,
        )
    ]
    if matrices:
        optimizers.append(
            torch.optim.Muon(
                matrices,
                lr=config.matrix_rate,
                weight_decay=config.weight_decay,
                ns_steps=NEWTON_SCHULZ_STEPS,
            )
        )
    return optimizers


def _matrices(module: nn.Module) -> list[Tensor]:
    linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
    return [part.weight for part in linear if part.weight.requires_grad]
