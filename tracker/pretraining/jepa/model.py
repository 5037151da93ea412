"""Context encoder, predictor and target encoder, on the layers of transformers' V-JEPA 2.

The context encoder runs on visible tokens only. transformers' own `context_mask` picks tokens
*after* its encoder has mixed all of them, so the context knows the target: no use for training.

Shapes: B clips, N tokens, Nc visible and Nt hidden ones, C channels, D the width of a head.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tracker.errors import UserError
from tracker.features.checkpoints import patch_side
from tracker.features.encoder import encode_tokens, pick, run_layers
from tracker.features.rotary import tables_of
from tracker.pretraining.jepa.config import JepaConfig
from tracker.pretraining.jepa.loss import normalised, variance_and_covariance, weighted_l1
from tracker.pretraining.jepa.masks import Masks

if TYPE_CHECKING:
    from transformers import VJEPA2Model


class JepaModel(nn.Module):
    """The objective as a module: `forward` gives the losses, as data-parallel training needs it.

    Args:
        online: whose encoder and predictor are trained.
        config: the objective.

    Raises:
        UserError: the config names layers that the encoder does not have below its last.
    """

    def __init__(self, online: VJEPA2Model, config: JepaConfig) -> None:
        super().__init__()
        self.online, self.config = online, config
        self.target = copy.deepcopy(online.encoder).requires_grad_(False)
        depth = online.config.num_hidden_layers
        if not all(1 <= i < depth for i in config.deep_layers):
            raise UserError(f"deep_layers {list(config.deep_layers)}: use layers of 1..{depth - 1}")
        width, narrow = online.config.hidden_size, online.config.pred_hidden_size
        # transformers' predictor reads and predicts the last layer; others have maps of their own.
        self.deep_inputs = nn.ModuleList(nn.Linear(width, narrow) for _ in config.deep_layers)
        self.deep_outputs = nn.ModuleList(nn.Linear(narrow, width) for _ in config.deep_layers)
        for linear in (*self.deep_inputs, *self.deep_outputs):
            nn.init.trunc_normal_(linear.weight, std=online.config.initializer_range)
            nn.init.zeros_(linear.bias)

    def grid(self, video: Tensor) -> tuple[int, int, int]:
        """Return `(t, h, w)` tokens of `(B, T, 3, H, W)`."""
        patch, tubelet = patch_side(self.online.config), self.online.config.tubelet_size
        return video.shape[1] // tubelet, video.shape[3] // patch, video.shape[4] // patch

    def forward(self, video: Tensor, kinds: Sequence[Masks]) -> dict[str, Tensor]:
        """Return the losses by name; `loss` is what to minimise.

        Args:
            video: `(B, T, 3, H, W)` normalised.
            kinds: the masks of the batch, one entry for each kind; kind k has mask token k.
        """
        grid = self.grid(video)
        levels = [normalised(level) for level in self.encode_target(video)]
        embedded = self.online.encoder.embeddings(video)
        losses = [
            self._losses_of(kind, masks, embedded, levels, grid) for kind, masks in enumerate(kinds)
        ]
        mean = {name: torch.stack([one[name] for one in losses]).mean() for name in losses[0]}
        weighted = [self._weights[name] * value for name, value in mean.items()]
        return {"loss": torch.stack(weighted).sum(), **mean}

    @property
    def _levels(self) -> tuple[int, ...]:
        """Layers, counted from 1, whose features are predicted: the deep ones and the last."""
        return (*self.config.deep_layers, self.online.config.num_hidden_layers)

    @property
    def _weights(self) -> dict[str, float]:
        """Weight of each term; terms of weight 0 are not computed."""
        config = self.config
        weights = {
            "prediction": 1.0,
            "context": config.context_weight,
            "variance": config.variance_weight,
            "covariance": config.covariance_weight,
        }
        return {name: weight for name, weight in weights.items() if weight}

    def _losses_of(
        self,
        kind: int,
        masks: Masks,
        embedded: Tensor,
        levels: list[Tensor],
        grid: tuple[int, int, int],
    ) -> dict[str, Tensor]:
        """Return the unweighted terms of one kind of mask; `levels` are the targets `(B, N, C)`."""
        encoder = self.online.encoder
        seen = encode_tokens(encoder, embedded, grid, self._levels, masks.context)
        at_context, at_target = self.predict(seen, masks, kind, grid)
        terms = {"prediction": _mean_l1(at_target, levels, masks.target)}
        if "context" in self._weights:
            near = masks.distance.rsqrt()
            terms["context"] = _mean_l1(at_context, levels, masks.context, near)
        if "variance" in self._weights or "covariance" in self._weights:
            places = masks.context if self.config.centre_positions else None
            pairs = [variance_and_covariance(normalised(level), places) for level in seen]
            variance, covariance = (torch.stack(term).mean() for term in zip(*pairs, strict=True))
            terms |= {"variance": variance, "covariance": covariance}
        return {name: terms[name] for name in self._weights}

    def predict(
        self, seen: list[Tensor], masks: Masks, kind: int, grid: tuple[int, int, int]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Predict the target encoder's features from the context's.

        Args:
            seen: `(B, Nc, C)` for each deep layer and for the last one.
            masks: which tokens are visible and which hidden.
            kind: which mask token stands for the hidden ones.
            grid: `(t, h, w)` tokens of a clip.

        Returns:
            Predictions at the visible places `(B, Nc, C)` and at the hidden ones `(B, Nt, C)`, of
            the same layers.
        """
        predictor = self.online.predictor
        context = predictor.embeddings.predictor_embeddings(seen[-1])
        for linear, level in zip(self.deep_inputs, seen[:-1], strict=True):
            context = context + linear(normalised(level))
        tokens = predictor.embeddings.mask_tokens
        hidden = tokens[kind % len(tokens)].expand(*masks.target.shape, -1)
        hidden = torch.cat([context, hidden.to(context)], dim=1)
        everything = torch.cat([masks.context, masks.target], dim=1)
        rotary = tables_of(predictor, grid, everything)
        (hidden,) = run_layers(predictor, hidden, rotary, [len(predictor.layer)])
        outputs = (*self.deep_outputs, predictor.proj)
        visible = masks.context.shape[1]
        return [out(hidden[:, :visible]) for out in outputs], [
            out(hidden[:, visible:]) for out in outputs
        ]

    @torch.no_grad()
    def encode_target(self, video: Tensor) -> list[Tensor]:
        """Return `(B, N, C)` of the target encoder's deep layers and of its last one."""
        embedded = self.target.embeddings(video)
        return encode_tokens(self.target, embedded, self.grid(video), self._levels)

    @torch.no_grad()
    def update_target(self, progress: float) -> None:
        """Let the target encoder follow; `progress` is the share of the run that is done."""
        start, end = self.config.momentum
        momentum = start + (end - start) * progress
        target: list[Tensor] = list(self.target.parameters())
        followed: list[Tensor] = list(self.online.encoder.parameters())
        torch._foreach_lerp_(target, followed, 1 - momentum)


def _mean_l1(
    predicted: list[Tensor], levels: list[Tensor], ids: Tensor, weight: Tensor | None = None
) -> Tensor:
    errors = [
        weighted_l1(guess, pick(level, ids), weight)
        for guess, level in zip(predicted, levels, strict=True)
    ]
    return torch.stack(errors).mean()
