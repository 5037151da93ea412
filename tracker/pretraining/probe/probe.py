"""Classifying clips by frozen features: attentive probe against average pooling.

Both poolings are trained alike on one set of clips and tested on another.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Generator, Tensor, nn

from tracker.errors import UserError
from tracker.features.backbone import FrozenBackbone
from tracker.files import atomic_path
from tracker.progress import nested_bar

Pooling = Literal["attentive", "average"]
POOLINGS: tuple[Pooling, ...] = ("attentive", "average")


@dataclass(frozen=True)
class ProbeConfig:
    """How a probe is trained.

    Attributes:
        epochs: passes over the clips.
        batch_size: clips a step.
        learning_rate: of AdamW; it falls in a cosine.
        weight_decay: of AdamW.
        seed: of initial weights and order.
    """

    epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class ProbeResult:
    """Accuracy on one question.

    Attributes:
        task: the question.
        classes: how many answers there are.
        chance: accuracy of always giving the commonest answer of the test clips.
        accuracy: on test clips, by pooling.
        train_accuracy: on the clips learned from, by pooling.
    """

    task: str
    classes: int
    chance: float
    accuracy: dict[Pooling, float]
    train_accuracy: dict[Pooling, float]


@dataclass(frozen=True)
class LabelledFeatures:
    """Frozen features of clips.

    Attributes:
        tokens: `(B, N, C) float16`.
        labels: `(B,)` for each question.
    """

    tokens: Tensor
    labels: dict[str, Tensor]


class AttentiveProbe(nn.Module):
    """A learned query gathers from all tokens by cross-attention; a linear layer classifies.

    After Bardes et al. (arXiv 2404.08471, section 4.2), without the MLP that follows their
    attention: what it reaches is due to the attention alone. With a single query, keys and values
    need not be computed for each token: products are taken in another order, which makes attention
    as cheap as a mean.
    """

    def __init__(self, channels: int, heads: int, classes: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(heads, channels // heads))
        self.norm = nn.LayerNorm(channels)
        # A bias of the keys would add the same to all scores of a head, and softmax drops it.
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, channels)
        self.classify = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, classes))

    def forward(self, tokens: Tensor) -> Tensor:
        """Turn tokens `(B, N, C)` into scores `(B, classes)`."""
        tokens = self.norm(tokens)
        heads, width = self.query.shape
        keys, values = (
            rearrange(linear.weight, "(h d) c -> h d c", h=heads)
            for linear in (self.key, self.value)
        )
        sought = einsum(self.query, keys, "h d, h d c -> h c") / math.sqrt(width)
        weight = einsum(tokens, sought, "b n c, h c -> b h n").softmax(-1)
        pooled = einsum(weight, tokens, "b h n, b n c -> b h c")
        gathered = einsum(pooled, values, "b h c, h d c -> b h d").flatten(1) + self.value.bias
        return self.classify(self.output(gathered))


class AverageProbe(nn.Module):
    """The mean of all tokens, and a linear layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.classify = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, classes))

    def forward(self, tokens: Tensor) -> Tensor:
        """Turn tokens `(B, N, C)` into scores `(B, classes)`."""
        return self.classify(tokens.mean(1))


def encode(
    backbone: FrozenBackbone,
    clips: Iterable[tuple[Tensor, dict[str, int]]],
    device: torch.device | str = "cpu",
) -> LabelledFeatures:
    """Return the features, of the last chosen layer, of clips `(T, 3, H, W)` with their labels.

    Raises:
        UserError: features are not finite, or there are no clips.
    """
    tokens, answers = [], []
    for clip, labels in clips:
        features = backbone(clip[None].to(device)).features[0, -1]
        if not torch.isfinite(features).all():
            raise UserError("the backbone's features are not finite; its weights are damaged")
        tokens.append(features.permute(0, 2, 3, 1).flatten(0, 2).half().cpu())
        answers.append(labels)
    if not tokens:
        raise UserError("no clip could be read; replace the damaged videos")
    by_question = {name: torch.tensor([a[name] for a in answers]) for name in answers[0]}
    return LabelledFeatures(torch.stack(tokens), by_question)


def fit_probe(
    pooling: Pooling,
    train: tuple[Tensor, Tensor],
    classes: int,
    heads: int,
    config: ProbeConfig,
    device: torch.device | str = "cpu",
) -> Callable[[Tensor], Tensor]:
    """Train a probe on tokens `(B, N, C)` and labels `(B,)`; return what predicts labels.

    Tokens are standardised per channel by the training clips, for both poolings alike.
    """
    tokens, labels = train
    channels = tokens.shape[-1]
    # Over clips one by one: in float32, all of a large model's tokens may not fit.
    mean = torch.stack([clip.float().mean(0) for clip in tokens]).mean(0)
    square = torch.stack([(clip.float() - mean).square().mean(0) for clip in tokens]).mean(0)
    mean, std = mean.to(device), square.sqrt().clamp(min=1e-6).to(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if pooling == "attentive":
            probe: nn.Module = AttentiveProbe(channels, heads, classes)
        else:
            probe = AverageProbe(channels, classes)
    probe.to(device)
    optimizer = torch.optim.AdamW(
        probe.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    steps = config.epochs * -(-len(tokens) // config.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    random = Generator().manual_seed(config.seed)
    for _ in nested_bar(range(config.epochs), f"training the {pooling} probe", "epochs"):
        for chosen in torch.randperm(len(tokens), generator=random).split(config.batch_size):
            scores = probe((tokens[chosen].to(device).float() - mean) / std)
            loss = F.cross_entropy(scores, labels[chosen].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

    @torch.no_grad()
    def predict(others: Tensor) -> Tensor:
        parts = [
            probe((part.to(device).float() - mean) / std).argmax(-1).cpu()
            for part in others.split(config.batch_size)
        ]
        return torch.cat(parts)

    return predict


def probe_table(
    train: LabelledFeatures,
    test: LabelledFeatures,
    classes: Mapping[str, Sequence[str]],
    heads: int,
    config: ProbeConfig,
    device: torch.device | str = "cpu",
) -> list[ProbeResult]:
    """Train and test both poolings on every question.

    Args:
        train: clips to learn from.
        test: others.
        classes: names of the answers, by question.
        heads: of the attention; the backbone's own number fits its width.
        config: how a probe is trained.
        device: where.
    """
    results = []
    for task, names in classes.items():
        accuracy: dict[Pooling, float] = {}
        train_accuracy: dict[Pooling, float] = {}
        for pooling in POOLINGS:
            fitted = (train.tokens, train.labels[task])
            predict = fit_probe(pooling, fitted, len(names), heads, config, device)
            for features, into in ((train, train_accuracy), (test, accuracy)):
                right = predict(features.tokens) == features.labels[task]
                into[pooling] = float(right.float().mean())
        commonest = torch.bincount(test.labels[task]).max() / len(test.labels[task])
        results.append(ProbeResult(task, len(names), float(commonest), accuracy, train_accuracy))
    return results


def format_table(results: Sequence[ProbeResult]) -> str:
    """Return the accuracies on test clips as a table, in percent."""
    lines = [f"{'question':12s} {'classes':>7s} {'chance':>7s} {'attentive':>9s} {'average':>8s}"]
    for result in results:
        attentive, average = (100 * result.accuracy[pooling] for pooling in POOLINGS)
        lines.append(
            f"{result.task:12s} {result.classes:7d} {100 * result.chance:7.1f} "
            f"{attentive:9.1f} {average:8.1f}"
        )
    return "\n".join(lines)


def motion_features(
    backbone: FrozenBackbone, first: int, clips: int, device: torch.device
) -> LabelledFeatures:
    """Render clips `first ...` of the motion task and encode them."""
    from tracker.pretraining.probe.motion_task import MotionTask

    task = MotionTask(backbone.config.window, backbone.config.input_size)
    numbers = nested_bar(range(first, first + clips), "encoding")
    return encode(backbone, map(task.clip, numbers), device)


def video_features(
    backbone: FrozenBackbone, folder: str, test_share: float, seed: int, device: torch.device
) -> tuple[LabelledFeatures, LabelledFeatures, dict[str, Sequence[str]], dict[str, str]]:
    """Encode a folder with a subfolder per class.

    Returns:
        Features to learn from and to test on, the names of the classes, and what was skipped.

    Raises:
        UserError: too few videos can be opened, or none of either part be decoded.
    """
    from tracker.pretraining.probe.labelled_videos import LabelledVideos

    data, config = LabelledVideos.from_folder(folder), backbone.config
    train, test = (
        encode(
            backbone,
            data.readable(nested_bar(numbers, "encoding"), config.window, config.input_size),
            device,
        )
        for numbers in data.split(test_share, seed)
    )
    return train, test, {"class": data.classes}, data.skipped


def write_results(path: Path, backbone: str, results: Sequence[ProbeResult]) -> None:
    """Write the table as JSON."""
    with atomic_path(path) as partial:
        content = {"backbone": backbone, "results": [vars(result) for result in results]}
        partial.write_text(json.dumps(content, indent=1) + "\n")
