"""Settings of the objective."""

from __future__ import annotations

from dataclasses import dataclass

from tracker.errors import UserError


@dataclass(frozen=True)
class JepaConfig:
    """The objective; with nothing but defaults it is V-JEPA's own.

    Attributes:
        momentum: of the target encoder, at the start and at the end of the run.
        context_weight: of the loss on visible tokens, as V-JEPA 2.1 has it (arXiv 2603.14482);
            each token's is divided by the root of its distance to the nearest hidden one.
        deep_layers: layers below the last, counted from 1, whose targets are predicted as well.
        variance_weight: of a hinge on the standard deviation of each channel of the context
            encoder's normalised tokens, against collapse (VICReg, arXiv 2105.04906).
        covariance_weight: of the squared covariances between those channels.
        centre_positions: take both over clips at the same place, not over all tokens alike, so
            that knowing one's position does not count as variety.
    """

    momentum: tuple[float, float] = (0.998, 1.0)
    context_weight: float = 0.0
    deep_layers: tuple[int, ...] = ()
    variance_weight: float = 0.0
    covariance_weight: float = 0.0
    centre_positions: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "momentum", tuple(self.momentum))
        object.__setattr__(self, "deep_layers", tuple(sorted(self.deep_layers)))
        if len(self.momentum) != 2 or not 0 <= self.momentum[0] <= self.momentum[1] <= 1:
            raise UserError(f"momentum {list(self.momentum)}: use 0 <= start <= end <= 1")
        if min(self.context_weight, self.variance_weight, self.covariance_weight) < 0:
            raise UserError("weights of the loss must not be negative")
