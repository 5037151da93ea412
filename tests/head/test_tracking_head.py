"""The head as a whole: shapes, branches, and what does not depend on what."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_models import TINY_HEAD

from tracker.errors import UserError
from tracker.flow.chains import FlowProposals
from tracker.head import HeadConfig, TrackingHead

T, N = 6, 5


def inputs(batch: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "residuals": torch.randn(batch, 2, 3, 64, 4, 4, generator=generator),
        "slot": torch.arange(T) // 2,
        "frames": torch.rand(batch, T, 3, 64, 64, generator=generator),
        "xy": torch.rand(batch, N, 2, generator=generator) * 60 + 2,
        "frame": torch.randint(T, (batch, N), generator=generator),
    }


def make_head(**changes: object) -> TrackingHead:
    torch.manual_seed(0)
    head = TrackingHead(replace(TINY_HEAD, **changes), layers=2, channels=64).eval()
    if head.config.iterations:
        torch.nn.init.normal_(head.refine.update.weight, std=0.3)
    return head


def run(head: TrackingHead, data: dict[str, torch.Tensor], **options: object):
    features = head.describe(data["residuals"], data["slot"], data["frames"])
    queries = head.take_queries(features, data["xy"], data["frame"])
    time = torch.arange(T) - data["frame"][..., None]
    return head.follow(features, queries, time, **options)


@pytest.mark.parametrize("use_vjepa", [True, False])
@pytest.mark.parametrize("use_rgb", [True, False])
@pytest.mark.parametrize("iterations", [0, 2])
def test_every_branch_can_be_switched_off(use_vjepa: bool, use_rgb: bool, iterations: int) -> None:
    if not (use_vjepa or use_rgb):
        with pytest.raises(UserError, match="leave one on"):
            make_head(use_vjepa=use_vjepa, use_rgb=use_rgb)
        return
    head = make_head(use_vjepa=use_vjepa, use_rgb=use_rgb, iterations=iterations)
    names = {name.split(".")[0] for name, _ in head.named_parameters()}
    assert ("projection" in names, "stem" in names, "refine" in names) == (
        use_vjepa,
        use_rgb,
        iterations > 0,
    )
    output = run(head, inputs())
    assert len(output.xy) == iterations + 1
    assert output.xy[-1].shape == output.visibility_logits[-1].shape == (1, N, T, 2)
    finest = 16 if use_rgb else 4
    assert output.coarse_logits.shape == (1, N, T, finest, finest)
    assert ((output.confidence >= 0) & (output.confidence <= 1)).all()


def test_point_stays_at_its_query_in_its_own_frame() -> None:
    data = inputs()
    for xy in run(make_head(), data).xy:
        own = xy[0, torch.arange(N), data["frame"][0]]
        assert torch.equal(own, data["xy"][0])


def test_a_points_track_does_not_depend_on_other_points_or_clips() -> None:
    head, data = make_head(), inputs(batch=2)
    together = run(head, data)
    one = {k: v if k == "slot" else v[1:] for k, v in data.items()}
    one["xy"], one["frame"] = one["xy"][:, 2:3], one["frame"][:, 2:3]
    alone = run(head, one)
    torch.testing.assert_close(together.xy[-1][1:, 2:3], alone.xy[-1], atol=1e-3, rtol=1e-4)


def test_branches_matter() -> None:
    head, data = make_head(), inputs()
    plain = run(head, data).xy[-1]
    other_features = run(head, data | {"residuals": data["residuals"].flip(-1)}).xy[-1]
    other_frames = run(head, data | {"frames": data["frames"].flip(-1)}).xy[-1]
    assert not torch.allclose(plain, other_features)
    assert not torch.allclose(plain, other_frames)


def test_known_frames_replace_the_coarse_match() -> None:
    head, data = make_head(iterations=0), inputs()
    xy = torch.full((1, N, T, 2), 7.0)
    mask = torch.zeros(1, N, T, dtype=torch.bool)
    mask[:, :, :3] = True
    output = run(head, data, known=(mask, xy, torch.zeros_like(xy)))
    own = torch.arange(T) == data["frame"][..., None]
    assert (output.xy[-1][mask & ~own] == 7).all()
    assert (output.xy[-1][~mask & ~own] != 7).any()


def test_refinement_looks_at_the_coarse_match_once_even_where_flow_leads_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head, data = make_head(use_flow=True), inputs()
    looked: list[torch.Tensor] = []
    correlate = head.refine.correlate

    def watch(levels: list, queries: list, xy: torch.Tensor) -> torch.Tensor:
        looked.append(xy)
        return correlate(levels, queries, xy)

    monkeypatch.setattr(head.refine, "correlate", watch)
    match = run(head, data, iterations=0).xy[0]
    assert looked == []
    elsewhere = (match + 32) % 64
    run(head, data, flow=FlowProposals(elsewhere, torch.ones(1, N, T)), iterations=2)
    own = torch.arange(T) == data["frame"][..., None]
    assert len(looked) == 3
    assert torch.equal(looked[0][~own], match[~own])
    assert torch.equal(looked[1][~own], elsewhere[~own])


def test_fewer_iterations_can_be_asked_for() -> None:
    head, data = make_head(), inputs()
    assert torch.equal(run(head, data, iterations=1).xy[-1], run(head, data).xy[1])


def test_all_parameters_learn() -> None:
    head = make_head(adapter_window=3).train()
    torch.nn.init.normal_(head.projection.adapter.up.weight, std=0.1)
    torch.nn.init.normal_(head.coarse.conv2.weight, std=0.1)
    output = run(head, inputs())
    total = sum(x.square().mean() for x in output.xy + output.visibility_logits)
    (total + output.coarse_logits.square().mean()).backward()
    without = [n for n, p in head.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_width_must_fit_heads() -> None:
    with pytest.raises(UserError, match=r"head\.width 33"):
        HeadConfig(width=33, heads=2)
