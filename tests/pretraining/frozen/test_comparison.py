"""Parts of the comparison of encoders."""

from __future__ import annotations

import torch
from einops import rearrange

from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.pretraining.frozen.comparison import first_frames
from tracker.pretraining.frozen.videos import TrackedVideo


def test_pixels_are_themselves() -> None:
    video = torch.rand(1, 2, 3, 32, 48)
    backbone = FrozenBackbone(BackboneConfig.usual("pixels", (32, 48), 2))
    features = backbone(video).features
    patches = rearrange(video, "b t c (h p) (w q) -> b 1 t (c p q) h w", p=16, q=16)
    torch.testing.assert_close(features, patches)
    assert backbone.has_name and backbone.config.layers == (1,)


def test_the_beginning_of_a_video_keeps_the_points_seen_in_it() -> None:
    visible = torch.tensor([[0, 1, 1, 1], [0, 0, 1, 1], [1, 0, 0, 1]]).bool()
    xy = torch.rand(3, 4, 2)
    video = TrackedVideo("v", torch.zeros(4, 3, 8, 8).byte(), xy, visible, torch.tensor([1, 2, 0]))
    part = first_frames(video, 2)
    assert part.frames.shape[0] == 2 and part.query.tolist() == [1, 0]
    assert torch.equal(part.xy, xy[[0, 2], :2])
