"""The student, and the linear map from its features to the teacher's, thrown away at the end.

With masks, which objective `both` adds, the encoder runs on the visible tokens alone; it predicts
the teacher's features there, and V-JEPA 2's predictor those at the hidden places.
Shapes: B clips, N tokens, Nc visible and Nt hidden ones, C channels of the teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tracker.errors import UserError
from tracker.features.checkpoints import patch_side
from tracker.features.encoder import encode_tokens, pick, run_layers
from tracker.features.rotary import tables_of
from tracker.pretraining.distill.config import DistillConfig
from tracker.pretraining.jepa.masks import Masks

if TYPE_CHECKING:
    from transformers import VJEPA2Model

Grid = tuple[int, int, int]


class DistillModel(nn.Module):
    """The objective as a module: `forward` gives the losses, as data-parallel training needs it.

    Args:
        student: the backbone that is trained; its predictor too, where masks are used.
        mean: `(C,)` of the teacher's features, which are standardised by it and `std`.
        std: `(C,)` their deviation.
        config: the objective.
        masked: whether there will be masks.

    Raises:
        UserError: the config names layers that the encoder does not have below its last.
    """

    def __init__(
        self,
        student: VJEPA2Model,
        mean: Tensor,
        std: Tensor,
        config: DistillConfig,
        masked: bool = False,
    ) -> None:
        super().__init__()
        depth, width = student.config.num_hidden_layers, student.config.hidden_size
        if not all(1 <= i < depth for i in config.deep_layers):
            raise UserError(
                f"distill.deep_layers {list(config.deep_layers)}: use layers of 1..{depth - 1}"
            )
        self.student, self.config = student, config
        student.predictor.requires_grad_(masked)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.to_teacher = nn.ModuleList(
            nn.Linear(width, len(mean)) for _ in (*config.deep_layers, depth)
        )
        self.hidden_to_teacher = nn.Linear(width, len(mean)) if masked else None

    def forward(
        self, video: Tensor, targets: Tensor, weights: Tensor, kinds: Sequence[Masks] = ()
    ) -> dict[str, Tensor]:
        """Return the losses by name; `loss` is what to minimise.

        Args:
            video: `(B, T, 3, H, W)` normalised.
            targets: `(B, N, C)` the teacher's features.
            weights: `(B, N)` how much each token counts.
            kinds: the masks of the batch, one entry for each kind; none to show every token.
        """
        patch = patch_side(self.student.config)
        slots = video.shape[1] // self.student.config.tubelet_size
        grid = (slots, video.shape[3] // patch, video.shape[4] // patch)
        targets = (targets - self.mean) / self.std
        # What the layers add up must not be rounded by bf16 autocast: on the way back the patches'
        # gradients would lose a quarter of their direction.
        embedded = self.student.encoder.embeddings(video).float()
        if not kinds:
            seen = self._encode(embedded, grid)
            visible = self._visible_loss(seen, targets, weights)
            return {"loss": visible, "visible": visible.detach()}
        pairs = [
            self._masked_losses(embedded, grid, masks, kind, targets, weights)
            for kind, masks in enumerate(kinds)
        ]
        visible, hidden = (torch.stack(part).mean() for part in zip(*pairs, strict=True))
        loss = visible + self.config.masked_weight * hidden
        return {"loss": loss, "visible": visible.detach(), "hidden": hidden.detach()}

    def _masked_losses(
        self,
        embedded: Tensor,
        grid: Grid,
        masks: Masks,
        kind: int,
        targets: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return the losses at visible and at hidden places."""
        assert self.hidden_to_teacher is not None
        seen = self._encode(embedded, grid, masks.context)
        at_context = weights.gather(1, masks.context)
        visible = self._visible_loss(seen, pick(targets, masks.context), at_context)
        predicted = self.hidden_to_teacher(self._predict(seen[-1], masks, kind, grid))
        hidden = feature_loss(
            self.config.loss,
            predicted,
            pick(targets, masks.target),
            weights.gather(1, masks.target),
        )
        return visible, hidden

    def _visible_loss(self, seen: list[Tensor], targets: Tensor, weights: Tensor) -> Tensor:
        losses = [
            feature_loss(self.config.loss, to_teacher(level), targets, weights)
            for to_teacher, level in zip(self.to_teacher, seen, strict=True)
        ]
        return torch.stack(losses).mean()

    def _encode(self, embedded: Tensor, grid: Grid, shown: Tensor | None = None) -> list[Tensor]:
        """Return `(B, n, width)` of the deep layers, normalised, and of the last."""
        layers = (*self.config.deep_layers, self.student.config.num_hidden_layers)
        *deep, last = encode_tokens(self.student.encoder, embedded, grid, layers, shown)
        return [*(F.layer_norm(level, level.shape[-1:]) for level in deep), last]

    def _predict(self, seen: Tensor, masks: Masks, kind: int, grid: Grid) -> Tensor:
        """Return `(B, Nt, width)`, what the predictor makes of hidden places."""
        predictor = self.student.predictor
        context = predictor.embeddings.predictor_embeddings(seen)
        tokens = predictor.embeddings.mask_tokens
        hidden = tokens[kind % len(tokens)].expand(*masks.target.shape, -1)
        hidden = torch.cat([context, hidden.to(context)], dim=1)
        everything = torch.cat([masks.context, masks.target], dim=1)
        rotary = tables_of(predictor, grid, everything)
        (hidden,) = run_layers(predictor, hidden, rotary, [len(predictor.layer)])
        return predictor.proj(hidden[:, masks.context.shape[1] :])


def feature_loss(kind: str, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean difference of `(B, n, C)` features, in float32.

    Args:
        kind: `smooth_l1`, `mse` or `cosine`.
        predicted: the student's features.
        targets: the teacher's.
        weights: `(B, n)` of the tokens.
    """
    predicted = predicted.float()
    if kind == "cosine":
        error = 1 - F.cosine_similarity(predicted, targets, dim=-1)
    elif kind == "mse":
        error = F.mse_loss(predicted, targets, reduction="none").mean(-1)
    else:
        error = F.smooth_l1_loss(predicted, targets, reduction="none").mean(-1)
    return (error * weights).sum() / weights.sum().clamp(min=1e-6)
