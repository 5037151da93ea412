"""The training loss against hand-computed cases."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tracker.errors import UserError
from tracker.head import HeadOutput
from tracker.head.correlation import Level
from tracker.training.losses import LossConfig, coarse_loss, matching_loss, tracking_loss

SIZE = (256, 256)
CONFIG = LossConfig()


@pytest.mark.parametrize(
    "changes",
    [
        {"decay": 0},
        {"decay": 1.5},
        {"huber_pixels": 0},
        {"certain_pixels": -1},
        {"temperature": 0},
        {"position": -0.1},
        {"hidden": -0.1},
        {"matching": float("nan")},
        {"followed": 0},
        {"followed": -1},
    ],
)
def test_settings_that_cannot_be(changes: dict) -> None:
    with pytest.raises(UserError, match=rf"loss\.{next(iter(changes))}=.* must be"):
        LossConfig(**changes)


def output(xy: torch.Tensor, visible: float, uncertain: float, steps: int = 1) -> HeadOutput:
    visibility_logits = torch.tensor([visible, uncertain], dtype=torch.float32).expand(
        *xy.shape[:3], 2
    )
    return HeadOutput([xy] * steps, [visibility_logits] * steps, torch.zeros(*xy.shape[:3], 4, 4))


def losses(guess: HeadOutput, xy: torch.Tensor, visible: torch.Tensor, **size: object) -> dict:
    everything = torch.ones_like(visible)
    return tracking_loss(guess, xy, visible, everything, size.get("size", SIZE), CONFIG)


def test_perfect_tracks_cost_nothing_but_the_coarse_map() -> None:
    xy = torch.rand(1, 3, 4, 2) * 200 + 20
    visible = torch.rand(1, 3, 4) > 0.5
    certainty = torch.where(visible, 40.0, -40.0)
    visibility_logits = torch.stack([certainty, torch.full_like(certainty, -40.0)], -1)
    result = losses(HeadOutput([xy], [visibility_logits], torch.zeros(1, 3, 4, 4, 4)), xy, visible)
    for name in ("position", "visibility", "certainty"):
        assert result[name] < 1e-6


def test_position_is_huber_in_pixels_of_256() -> None:
    xy = torch.full((1, 1, 1, 2), 100.0)
    seen = torch.ones(1, 1, 1, dtype=torch.bool)
    near = losses(output(xy + torch.tensor([2.0, 0.0]), 0, 0), xy, seen)["position"]
    far = losses(output(xy + torch.tensor([0.0, 10.0]), 0, 0), xy, seen)["position"]
    assert math.isclose(near, 0.5 * 2**2, rel_tol=1e-5)
    assert math.isclose(far, 4 * (10 - 2), rel_tol=1e-5)
    twice = losses(output(xy + torch.tensor([4.0, 0.0]), 0, 0), xy, seen, size=(512, 512))
    assert math.isclose(twice["position"], near, rel_tol=1e-5)


def test_occluded_frames_have_no_position_but_a_visibility() -> None:
    xy = torch.full((1, 1, 1, 2), 100.0)
    hidden = torch.zeros(1, 1, 1, dtype=torch.bool)
    result = losses(output(xy + 50, 0.0, 0.0), xy, hidden)
    assert result["position"] == 0
    assert math.isclose(result["visibility"], math.log(2), rel_tol=1e-5)


def test_hidden_positions_count_near_the_frame_where_they_are_asked_for() -> None:
    xy = torch.tensor([[[[100.0, 100.0], [300.0, 100.0], [500.0, 100.0]]]])
    guess = output(xy - torch.tensor([10.0, 0.0]), 0, 0)
    visible = torch.tensor([[[True, False, False]]])
    everything = torch.ones_like(visible)
    config = LossConfig(hidden=0.5)
    found = tracking_loss(guess, xy, visible, everything, SIZE, config)["position"]
    # 10 pixels off: 4 * (10 - 2) each. The last is too far outside to be asked for.
    assert float(found) == pytest.approx(32 * 1.5)


def test_frames_that_are_not_judged_do_not_count() -> None:
    xy = torch.full((1, 1, 2, 2), 100.0)
    guess = xy.clone()
    guess[0, 0, 0] += 50
    seen = torch.ones(1, 1, 2, dtype=torch.bool)
    visibility_logits = torch.tensor([[[False, True]]])
    result = tracking_loss(output(guess, 0, 0), xy, seen, visibility_logits, SIZE, CONFIG)
    assert result["position"] == 0


def test_certainty_asks_whether_the_error_is_large() -> None:
    xy = torch.full((1, 1, 1, 2), 100.0)
    seen = torch.ones(1, 1, 1, dtype=torch.bool)
    for shift, says_unsure, wrong in [(3, -9.0, False), (3, 9.0, True), (20, 9.0, False)]:
        certainty = losses(output(xy + shift, 0, says_unsure), xy, seen)["certainty"]
        assert (certainty > 1) == wrong


def test_later_iterations_weigh_more() -> None:
    xy = torch.full((1, 1, 1, 2), 100.0)
    seen = torch.ones(1, 1, 1, dtype=torch.bool)
    right, wrong = output(xy, 0, 0), output(xy + 30, 0, 0)
    early = HeadOutput(wrong.xy + right.xy, right.visibility_logits * 2, right.coarse_logits)
    late = HeadOutput(right.xy + wrong.xy, right.visibility_logits * 2, right.coarse_logits)
    assert losses(early, xy, seen)["position"] < losses(late, xy, seen)["position"]


def test_coarse_target_is_spread_as_bilinear_interpolation() -> None:
    logits = torch.randn(1, 1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    likelihood = logits.flatten(3).log_softmax(-1).view(4, 4)
    seen = torch.ones(1, 1, 1, dtype=torch.bool)
    centre = torch.tensor([[[[96.0, 160.0]]]])  # the centre of column 1, row 2
    torch.testing.assert_close(coarse_loss(logits, centre, seen, SIZE), -likelihood[2, 1])
    between = torch.tensor([[[[112.0, 160.0]]]])  # a quarter of the way to column 2
    expected = -(0.75 * likelihood[2, 1] + 0.25 * likelihood[2, 2])
    torch.testing.assert_close(coarse_loss(logits, between, seen, SIZE), expected)


def test_coarse_target_at_the_border_and_on_a_tiny_grid() -> None:
    seen = torch.ones(1, 1, 1, dtype=torch.bool)
    for shape in [(4, 4), (1, 1), (1, 5)]:
        for place in [(0.0, 0.0), (256.0, 256.0), (256.0, 0.0)]:
            loss = coarse_loss(torch.zeros(1, 1, 1, *shape), torch.tensor([[[place]]]), seen, SIZE)
            assert math.isclose(loss, math.log(shape[0] * shape[1]), abs_tol=1e-5)


def test_matching_loss_is_small_only_where_features_tell_places_apart() -> None:
    torch.manual_seed(0)
    xy = torch.randint(8, (1, 6, 3, 2)) * 4.0 + 2  # centres of cells
    xy[:, :, 1:] = xy[:, :, :1]
    frame = torch.zeros(1, 6, dtype=torch.long)
    seen = torch.ones(1, 6, 3, dtype=torch.bool)
    seen[:, :, 0] = False
    distinct = F.normalize(torch.randn(1, 1, 64, 8, 8), dim=2).expand(1, 3, -1, -1, -1)
    alike = F.normalize(torch.ones(1, 3, 64, 8, 8), dim=2)

    def loss(features: torch.Tensor) -> float:
        return float(matching_loss([Level.of(features, (32, 32))], frame, xy, seen, (32, 32), 20.0))

    assert loss(alike) == pytest.approx(math.log(64), rel=1e-4)
    assert loss(distinct) < 0.01


def test_matching_loss_ignores_frames_that_are_not_seen() -> None:
    torch.manual_seed(0)
    features = F.normalize(torch.randn(1, 3, 16, 8, 8), dim=2)
    levels = [Level.of(features, (32, 32))]
    xy = torch.rand(1, 4, 3, 2) * 32
    frame = torch.zeros(1, 4, dtype=torch.long)
    seen = torch.tensor([False, True, False]).expand(1, 4, 3)
    moved = xy.clone()
    moved[:, :, 2] += 5
    first, second = (matching_loss(levels, frame, p, seen, (32, 32), 20.0) for p in (xy, moved))
    assert torch.equal(first, second)
