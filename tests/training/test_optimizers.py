"""Which parameters go to which optimiser, and what Muon does with a matrix."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import nn

from tracker.errors import UserError
from tracker.training.config import TrainingConfig
from tracker.training.optimizers import open_optimizers


class Model(nn.Module):
    """A hidden part with a matrix, a bias, a norm and a convolution; a head; a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Conv1d(3, 8, 2), nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 8)
        )
        self.head = nn.Linear(8, 4)
        self.hidden[3].requires_grad_(False)


def names(model: nn.Module, optimizer: torch.optim.Optimizer) -> set[str]:
    taken = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return {name for name, p in model.named_parameters() if id(p) in taken}


def open_for(model: Model, kind: str) -> list[torch.optim.Optimizer]:
    return open_optimizers(TrainingConfig(optimizer=kind), model, model.hidden)  # type: ignore[arg-type]


def test_muon_takes_hidden_matrices_and_nothing_else() -> None:
    model = Model()
    adamw, muon = open_for(model, "muon")
    assert names(model, muon) == {"hidden.1.weight"}
    assert names(model, adamw) == {
        "hidden.0.weight",
        "hidden.0.bias",
        "hidden.1.bias",
        "hidden.2.weight",
        "hidden.2.bias",
        "head.weight",
        "head.bias",
    }


def test_adamw_takes_all_that_is_trained() -> None:
    model = Model()
    (adamw,) = open_for(model, "adamw")
    assert names(model, adamw) == {n for n, p in model.named_parameters() if p.requires_grad}


def singular_values(step: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(step.double())


def test_muon_moves_all_directions_of_a_matrix_alike() -> None:
    torch.manual_seed(0)
    before = {}
    ratios = {}
    for kind in ("adamw", "muon"):
        torch.manual_seed(0)
        model = Model()
        weight = model.hidden[1].weight
        before[kind] = weight.detach().clone()
        strengths = torch.logspace(0, -2, 8)  # of the gradient's directions
        basis = [torch.linalg.qr(torch.randn(n, 8))[0] for n in (16, 8)]
        weight.grad = basis[0] * strengths @ basis[1].T
        for optimizer in open_for(model, kind):
            for group in optimizer.param_groups:
                group["weight_decay"] = 0.0
            optimizer.step()
        values = singular_values(weight.detach() - before[kind])
        ratios[kind] = float(values[0] / values[-3])
    assert ratios["muon"] < 2.5 < ratios["adamw"]


@pytest.mark.parametrize("change", [{"optimizer": "sgd"}, {"matrix_rate": 0.0}])
def test_bad_settings(change: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(change))):
        TrainingConfig(**change)  # type: ignore[arg-type]


def all_parameters(optimizers: Iterable[torch.optim.Optimizer]) -> int:
    return sum(len(g["params"]) for o in optimizers for g in o.param_groups)


def test_no_parameter_is_trained_twice() -> None:
    model = Model()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert all_parameters(open_for(model, "muon")) == len(trained)
