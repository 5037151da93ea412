"""The positional template: averages, what it removes, whom it belongs to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_backbone, tiny_encoder, tiny_tracker

from tracker.errors import UserError
from tracker.features.backbone import BackboneConfig, FeatureVolume, FrozenBackbone
from tracker.features.template import PositionalTemplate, TemplateReport
from tracker.features.template_fitter import TemplateFitter
from tracker.tracking.tracker import PointTracker


def fit(clips: int = 6, frames: int = 8, **changes: object) -> tuple[PositionalTemplate, object]:
    fitter = TemplateFitter(tiny_backbone(**changes))
    generator = torch.Generator().manual_seed(0)
    for _ in range(clips):
        fitter.update(torch.rand(1, frames, 3, 64, 64, generator=generator))
    return fitter.finish(), fitter


@pytest.mark.parametrize("mode", ["tubelet", "offset", "duplicate"])
def test_template_is_the_mean_over_clips(mode: str) -> None:
    backbone = tiny_backbone(frame_mode=mode)
    clips = torch.rand(5, 8, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    fitter = TemplateFitter(backbone)
    fitter.update(clips)
    template = fitter.finish()
    volume = backbone(clips)
    for phase in range(backbone.phases):
        mean = volume.features[:, :, volume.phase == phase].mean(dim=(0, 2))
        torch.testing.assert_close(template.mean[:, phase], mean, atol=1e-5, rtol=1e-4)


def test_residuals_have_mean_zero_and_unit_spread() -> None:
    backbone = tiny_backbone()
    clips = torch.rand(6, 8, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    fitter = TemplateFitter(backbone)
    fitter.update(clips)
    residuals = fitter.finish().subtract(backbone(clips))
    assert residuals.mean(0).abs().max() < 1e-3
    spread = residuals.square().mean(dim=(0, 2, 4, 5)).sqrt()
    torch.testing.assert_close(spread, torch.ones_like(spread), atol=1e-3, rtol=1e-3)


def test_short_and_long_clips_use_the_slots_of_their_windows() -> None:
    backbone = tiny_backbone()
    template, _ = fit()
    for length in (3, 8, 11, 20):
        volume = backbone(torch.rand(1, length, 3, 64, 64))
        residuals = template.subtract(volume)
        expected = (volume.features - template.mean[None, :, volume.phase]) / template.std[
            None, :, None, :, None, None
        ]
        torch.testing.assert_close(residuals, expected)


def test_no_positional_bias_comes_back_in_half_precision() -> None:
    """The mean over clips of what is left at a place is 0 but for the noise of rounding."""
    phase = torch.arange(2)
    place = 8 + torch.randn(1, 1, 2, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    content = torch.randn(256, 1, 2, 16, 4, 4, generator=torch.Generator().manual_seed(1))
    content -= content.mean(0)
    features = (place + content).bfloat16()
    template = PositionalTemplate(
        place[0], torch.ones(1, 16), {}, "", TemplateReport(2, [1.0], [1.0])
    )
    residuals = template.subtract(FeatureVolume(features, phase.repeat_interleave(2), phase))
    assert residuals.dtype == torch.float32
    rounded = features - place.bfloat16()  # the arithmetic of the features' own precision
    ours, theirs = (x.float().mean(0).square().mean().sqrt() for x in (residuals, rounded))
    assert ours < 0.002
    assert theirs > 5 * ours


def test_the_template_is_brought_to_a_device_once() -> None:
    template, _ = fit()
    volume = tiny_backbone()(torch.rand(1, 8, 3, 64, 64))
    away = replace(volume, features=volume.features.to("meta"))
    assert template.subtract(away).device.type == "meta"
    first = template._on(torch.device("meta"))
    template.subtract(away)
    again = template._on(torch.device("meta"))
    assert all(one is two for one, two in zip(first, again, strict=True))
    assert template.subtract(volume).device.type == "cpu"
    assert list(template._placed) == [torch.device("cpu")]  # nothing stays on the other device


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_template_follows_its_tracker() -> None:
    tracker = tiny_tracker()
    tracker = PointTracker(tracker.config, fit()[0], tracker.backbone)
    for device in ("cuda", "cpu"):
        video = torch.rand(1, 8, 3, 64, 64, device=device)
        assert tracker.to(device).residuals(video)[0].device.type == device


def test_report_tells_convergence_and_positional_share() -> None:
    few, _ = fit(clips=4)
    many, _ = fit(clips=24)
    assert all(0 <= s <= 1 for s in few.report.positional_share)
    assert many.report.split_half_cosine[0] > few.report.split_half_cosine[0]


def test_fitting_resumes_exactly() -> None:
    whole, _ = fit(clips=6)
    _, first = fit(clips=3)
    second = TemplateFitter(tiny_backbone())
    second.load_state_dict(first.state_dict())
    generator = torch.Generator().manual_seed(0)
    clips = [torch.rand(1, 8, 3, 64, 64, generator=generator) for _ in range(6)]
    for clip in clips[3:]:
        second.update(clip)
    assert torch.equal(second.finish().mean, whole.mean)


def test_save_and_load(tmp_path: Path) -> None:
    template, _ = fit()
    template.save(tmp_path / "t.safetensors")
    loaded = PositionalTemplate.load(tmp_path / "t.safetensors")
    torch.testing.assert_close(loaded.mean, template.mean, atol=2e-3, rtol=1e-3)
    assert torch.equal(loaded.std, template.std)
    assert (loaded.identity, loaded.fingerprint()) == (template.identity, template.fingerprint())
    assert loaded.report == template.report
    more, _ = fit(clips=7)
    assert more.fingerprint() != template.fingerprint()
    loaded.check(tiny_backbone())


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"layers": (2,)}, "layers"),
        ({"input_size": (64, 96)}, "input_size"),
        ({"window": 4}, "window"),
        ({"frame_mode": "offset"}, "frame_mode"),
    ],
)
def test_template_of_other_settings_is_an_error(changes: dict, name: str) -> None:
    template, _ = fit()
    with pytest.raises(UserError, match=f"fitted with {name}="):
        template.check(tiny_backbone(**changes))


def test_template_of_another_backbone_is_an_error() -> None:
    template, _ = fit()
    other = tiny_encoder()
    with torch.no_grad():
        other.encoder.layer[0].attention.query.weight.add_(0.1)
    config = BackboneConfig("other", (1, 2), (64, 64), 8)
    with pytest.raises(UserError, match="belongs to a backbone with weights"):
        template.check(FrozenBackbone(config, other))


def test_too_few_or_too_short_clips() -> None:
    with pytest.raises(UserError, match="at least 2 clips"):
        fit(clips=1)
    with pytest.raises(UserError, match="clips of 8 frames"):
        fit(clips=3, frames=4)


def test_not_a_template(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(UserError, match="does not exist"):
        PositionalTemplate.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a template file"):
        PositionalTemplate.load(path)


def test_template_fitted_in_half_precision_belongs_to_the_same_weights() -> None:
    rounded = TemplateFitter(tiny_backbone(dtype="bfloat16"))
    rounded.update(torch.rand(3, 8, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    rounded.finish().check(tiny_backbone())
