"""Procedural scenes: the truth they carry must be the truth of their pixels."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from torch import Generator
from torch.nn.functional import grid_sample

from tracker.errors import UserError
from tracker.scenes.motion import MotionConfig, draw_motion
from tracker.scenes.photometric import PhotometricConfig
from tracker.scenes.renderer import SceneConfig, Scenes, draw_layers, draw_radii, render_scenes
from tracker.scenes.textures import TextureBank

SMALL = SceneConfig(frames=8, height=96, width=128, points=64)


# Textures much coarser than the raster: sampling the video between pixels then costs little.
SMOOTH = replace(SMALL.clean(), min_texel=4.0, max_texel=5.0)


@pytest.fixture(scope="module")
def textures() -> TextureBank:
    return TextureBank.builtin(128)


@pytest.fixture(scope="module")
def smooth(textures) -> Scenes:
    return render_scenes(range(8), SMOOTH, textures)


def colours_at(video, xy):
    """Bilinear colours (B, N, T, 3) of video (B, T, 3, H, W) at xy (B, N, T, 2)."""
    size = torch.tensor([video.shape[-1], video.shape[-2]])
    grid = (2 * xy / size - 1).transpose(1, 2).flatten(0, 1)[:, :, None]
    colours = grid_sample(video.flatten(0, 1), grid, align_corners=False)
    return colours[..., 0].unflatten(0, video.shape[:2]).permute(0, 3, 1, 2)


def layers_around(scenes, reach):
    """Top layers (B, N, T, K) in the square of pixels around each point, clipped to the frame."""
    height, width = scenes.layer_map.shape[-2:]
    step = torch.arange(-reach, reach + 1)
    x = (scenes.xy[..., 0].floor().long()[..., None] + step.repeat(len(step))).clamp(0, width - 1)
    y = scenes.xy[..., 1].floor().long()[..., None] + step.repeat_interleave(len(step))
    b = torch.arange(x.shape[0])[:, None, None, None]
    t = torch.arange(x.shape[2])[None, None, :, None]
    return scenes.layer_map[b, t, y.clamp(0, height - 1), x]


def inside_frame(scenes, margin=0.0):
    height, width = scenes.layer_map.shape[-2:]
    limits = torch.tensor([width, height]) - margin
    return ((scenes.xy >= margin) & (scenes.xy <= limits)).all(-1)


def comes_back(state):
    """Whether a (..., T) condition holds, stops, and holds again."""
    begun = state.cumsum(-1) > 0
    gap = (begun & ~state).cumsum(-1) > 0
    return (gap & state).any(-1)


def test_shapes_types_and_ranges(textures):
    every = replace(
        PhotometricConfig(),
        motion_blur=1,
        light=1,
        shadow=1,
        grade=1,
        defocus=1,
        soft=1,
        noise=1,
        blocks=1,
    )
    config = replace(SMALL, height=90, width=70, photometric=every)  # not multiples of 8
    scenes = render_scenes([4, 5], config, textures)
    assert scenes.video.shape == (2, 8, 3, 90, 70)
    assert scenes.video.dtype == scenes.xy.dtype == torch.float32
    assert scenes.xy.shape == (2, 64, 8, 2)
    assert scenes.visible.shape == (2, 64, 8)
    assert scenes.visible.dtype == torch.bool
    assert scenes.point_layer.shape == (2, 64)
    assert scenes.layer_map.shape == (2, 8, 90, 70)
    assert scenes.layer_map.dtype == torch.uint8
    assert scenes.texel_colour.shape == (2, 64, 3)
    for part in (scenes.video, scenes.texel_colour):
        assert part.isfinite().all()
        assert part.min() >= 0
        assert part.max() <= 1
    assert scenes.xy.isfinite().all()
    assert scenes.video.std() > 0.05


def test_points_have_the_colour_of_their_texel(smooth):
    around = layers_around(smooth, 2)
    alone = (around == smooth.point_layer[:, :, None, None]).all(-1)
    usable = smooth.visible & alone & inside_frame(smooth, 1.0)
    assert usable.float().mean() > 0.4
    seen = colours_at(smooth.video, smooth.xy)
    error = (seen - smooth.texel_colour[:, :, None]).abs().amax(-1)[usable]
    assert error.mean() < 0.01
    assert error.quantile(0.99) < 0.05
    shuffled = smooth.texel_colour.roll(1, dims=1)[:, :, None]
    assert (seen - shuffled).abs().amax(-1)[usable].mean() > 0.15


def test_tracks_are_right_to_a_fraction_of_a_pixel(smooth):
    around = layers_around(smooth, 3)
    alone = (around == smooth.point_layer[:, :, None, None]).all(-1)
    usable = smooth.visible & alone & inside_frame(smooth, 2.0)

    def error(dx, dy):
        seen = colours_at(smooth.video, smooth.xy + torch.tensor([dx, dy]))
        return (seen - smooth.texel_colour[:, :, None]).square().sum(-1)[usable].mean()

    for dx, dy in ((0.25, 0.0), (-0.25, 0.0), (0.0, 0.25), (0.0, -0.25)):
        assert error(0.0, 0.0) < 0.7 * error(dx, dy)


def test_visibility_agrees_with_the_layer_map(smooth):
    around = layers_around(smooth, 1)
    decided = inside_frame(smooth) & (around == around[..., :1]).all(-1)
    on_top = around[..., 4] == smooth.point_layer[:, :, None]
    assert torch.equal(smooth.visible[decided], on_top[decided])
    assert (~smooth.visible[decided]).any()
    assert decided.float().mean() > 0.5
    assert not smooth.visible[~inside_frame(smooth)].any()


def test_every_point_is_seen_and_sprites_get_their_share(smooth):
    assert smooth.visible.any(-1).all()
    share = (smooth.point_layer > 0).float().mean()
    assert 0.3 < share < 0.8


def test_scenes_do_not_depend_on_their_batch(textures):
    config = replace(SMALL, frames=4)
    batch = render_scenes([3, 14, 15], config, textures)
    for i, seed in enumerate([3, 14, 15]):
        alone = render_scenes([seed], config, textures)
        for part in fields(Scenes):
            assert torch.equal(getattr(batch, part.name)[i], getattr(alone, part.name)[0])
    assert not torch.equal(batch.video[0], batch.video[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_scenes_do_not_depend_on_their_device(textures):
    here = render_scenes([3, 4], SMALL.clean(), textures)
    there = render_scenes([3, 4], SMALL.clean(), textures, "cuda")
    assert there.video.device.type == "cuda"
    assert (here.xy - there.xy.cpu()).abs().quantile(0.99) < 1e-2
    assert (here.video - there.video.cpu()).abs().mean() < 1e-3


def test_occlusions_exits_and_returns_occur(textures):
    config = replace(SMALL.clean(), frames=24, height=64, width=64)
    scenes = render_scenes(range(16), config, textures)
    inside = inside_frame(scenes)
    occluded = inside & ~scenes.visible
    left = (inside[..., :-1] & ~inside[..., 1:]).any(-1)
    assert 0.05 < occluded.any(-1).float().mean() < 0.6
    assert 0.04 < left.float().mean() < 0.6
    assert comes_back(inside).float().mean() > 0.02
    assert comes_back(scenes.visible).float().mean() > 0.06
    assert scenes.visible.float().mean() > 0.6
    step = scenes.xy.diff(dim=2).norm(dim=-1)
    assert step.max() > 0.04 * 64
    assert step.median() < 0.03 * 64


def test_motion_blur_leaves_the_truth_in_the_middle(textures):
    motion = MotionConfig(min_speed=0.03, static=0, camera_static=0)
    sharp = replace(SMOOTH, motion=motion)
    exposure = replace(PhotometricConfig.off(), motion_blur=1, subframes=5, shutter=0.9)
    blurred = replace(sharp, photometric=exposure)
    still, smeared = (render_scenes(range(6), config, textures) for config in (sharp, blurred))
    assert torch.equal(still.xy, smeared.xy)
    assert torch.equal(still.visible, smeared.visible)
    assert torch.equal(still.layer_map, smeared.layer_map)
    assert (still.video - smeared.video).abs().mean() > 0.001

    alone = (layers_around(smeared, 4) == smeared.point_layer[:, :, None, None]).all(-1)
    usable = (smeared.visible & alone & inside_frame(smeared, 4.0))[..., 1:-1]
    velocity = (smeared.xy[:, :, 2:] - smeared.xy[:, :, :-2]) / 2

    def error(early):
        xy = smeared.xy[:, :, 1:-1] + early * velocity
        seen = colours_at(smeared.video[:, 1:-1], xy)
        return (seen - smeared.texel_colour[:, :, None]).square().sum(-1)[usable].mean()

    before, at, after = error(-0.25), error(0.0), error(0.25)
    offset = 0.25 * (before - after) / (2 * (before - 2 * at + after))
    assert abs(offset) < 0.04  # frames, at the bottom of the parabola


def test_effects_leave_the_geometry_alone(textures):
    plain = render_scenes([7], SMALL.clean(), textures)
    full = render_scenes([7], SMALL, textures)
    assert torch.equal(plain.xy, full.xy)
    assert torch.equal(plain.visible, full.visible)
    assert torch.equal(plain.texel_colour, full.texel_colour)


def test_boxes_cut_nothing_off_the_sprites(textures):
    for seed in range(6):
        scenes = render_scenes([seed], SMALL, textures)
        generator = Generator().manual_seed(seed)
        radius = draw_radii(generator, SMALL)
        motion = draw_motion(generator, SMALL.motion, SMALL.frames, (96, 128), radius)
        maps = motion.at(torch.arange(SMALL.frames).double())
        x = (torch.arange(128) + 0.5).expand(1, 1, 128)
        y = (torch.arange(96) + 0.5)[None, :, None]
        expected = torch.zeros_like(scenes.layer_map[0])
        layers = draw_layers(generator, SMALL, radius, maps, textures)
        for i, (layer, moved) in enumerate(zip(layers[1:], maps[1:], strict=True), start=1):
            expected[layer.covers(moved.to("cpu"), x, y)] = i
        assert (scenes.layer_map[0] != expected).float().mean() < 1e-4


def test_scene_without_sprites(textures):
    scenes = render_scenes([1], replace(SMALL, min_sprites=0, max_sprites=0), textures)
    assert (scenes.point_layer == 0).all()
    assert (scenes.layer_map == 0).all()
    assert torch.equal(scenes.visible, inside_frame(scenes))


@pytest.mark.parametrize(
    "wrong",
    [
        {"height": 8},
        {"frames": 0},
        {"points": 0},
        {"min_sprites": 5, "max_sprites": 2},
        {"max_sprites": 300},
        {"min_size": 0.0},
    ],
)
def test_impossible_scenes_are_user_errors(wrong):
    with pytest.raises(UserError, match="use"):
        SceneConfig(**wrong)


def test_other_impossible_requests_are_user_errors(textures):
    with pytest.raises(UserError, match="bend"):
        MotionConfig(bend=0.6)
    with pytest.raises(UserError, match="seed"):
        render_scenes([], SMALL, textures)
    with pytest.raises(UserError, match="device abacus cannot be used"):
        render_scenes([1], SMALL, textures, "abacus")


def test_a_layer_may_have_no_point(textures):
    """With one point wanted, some layers of scene 18 are not even tried."""
    config = SceneConfig(frames=2, height=32, width=32, points=1)
    assert render_scenes([18], config, textures).xy.shape == (1, 1, 2, 2)


def test_twins_look_alike_and_move_apart(textures):
    config = replace(SMOOTH, twins=1.0, min_sprites=3, max_sprites=3, points=200)
    scenes = render_scenes(range(4), config, textures)
    for clip in range(4):
        # All sprites are the first one's twins: layers 1, 2 and 3 share their colours.
        colours = [
            scenes.texel_colour[clip][scenes.point_layer[clip] == layer] for layer in (1, 2, 3)
        ]
        spans = torch.stack([torch.stack([c.amin(0), c.amax(0)]) for c in colours if len(c) > 20])
        assert (spans - spans[0]).abs().max() < 0.35
    assert scenes.visible.any(2).all()


def test_plain_layers_have_next_to_no_texture(textures):
    config = replace(SMALL.clean(), plain=1.0)
    scenes = render_scenes(range(4), config, textures)
    background = scenes.point_layer == 0
    for clip in range(4):
        colours = scenes.texel_colour[clip][background[clip]]
        assert colours.amax(0).sub(colours.amin(0)).max() < 0.1
