"""The attentive probe against average pooling."""

from __future__ import annotations

import torch
from torch import Generator

from tracker.pretraining.probe.probe import (
    AttentiveProbe,
    LabelledFeatures,
    ProbeConfig,
    fit_probe,
    format_table,
    probe_table,
)


def needle_features(clips: int, seed: int) -> LabelledFeatures:
    """One token of many is marked and tells the class; the others are noise that averages out."""
    random = Generator().manual_seed(seed)
    labels = torch.randint(2, (clips,), generator=random)
    tokens = torch.randn(clips, 64, 8, generator=random)
    place = torch.randint(64, (clips,), generator=random)
    tokens[torch.arange(clips), place, 0] = 8
    tokens[torch.arange(clips), place, 1] = (2 * labels - 1) * 3.0
    return LabelledFeatures(tokens.half(), {"needle": labels})


class TestProbe:
    def test_is_cross_attention(self) -> None:
        """The cheap order of products gives what torch's attention gives with the same weights."""
        torch.manual_seed(0)
        probe, tokens = AttentiveProbe(12, 3, 5), torch.randn(2, 7, 12)
        attention = torch.nn.MultiheadAttention(12, 3, batch_first=True)
        with torch.no_grad():
            linears = (probe.key.weight, probe.value.weight)
            attention.in_proj_weight.copy_(torch.cat([torch.eye(12), *linears]))
            attention.in_proj_bias.copy_(torch.cat([torch.zeros(24), probe.value.bias]))
        attention.out_proj = probe.output
        query = probe.query.flatten().expand(2, 1, -1)
        normed = probe.norm(tokens)
        expected = probe.classify(attention(query, normed, normed)[0][:, 0])
        torch.testing.assert_close(probe(tokens), expected)

    def test_attention_finds_the_needle(self) -> None:
        train, test = needle_features(300, 0), needle_features(200, 1)
        config = ProbeConfig(learning_rate=1e-2)
        (result,) = probe_table(train, test, {"needle": ("a", "b")}, 2, config)
        assert result.accuracy["attentive"] > 0.9
        assert result.accuracy["average"] < result.accuracy["attentive"] - 0.1
        assert 0.5 <= result.chance < 0.6
        table = format_table([result])
        assert "needle" in table and f"{100 * result.accuracy['attentive']:.1f}" in table

    def test_average_learns_what_the_mean_tells(self) -> None:
        labels = torch.arange(3).repeat(20)
        tokens = torch.randn(60, 10, 6, generator=Generator().manual_seed(0))
        tokens[:, :, :3] += torch.nn.functional.one_hot(labels, 3)[:, None] * 2
        predict = fit_probe("average", (tokens, labels), 3, 2, ProbeConfig(learning_rate=1e-2))
        assert float((predict(tokens) == labels).float().mean()) > 0.9

    def test_repeats_exactly(self) -> None:
        data = needle_features(40, 0)
        config = ProbeConfig(epochs=2)
        predictions = []
        for _ in range(2):
            torch.rand(3)  # what else happens must not matter
            fitted = (data.tokens, data.labels["needle"])
            predictions.append(fit_probe("attentive", fitted, 2, 2, config)(data.tokens))
        assert torch.equal(*predictions)
