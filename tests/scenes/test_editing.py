"""What happens to whole frames: where they show nothing, no point is visible."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from tracker.scenes.editing import DARK, Editing, EditingConfig, draw_editing
from tracker.scenes.renderer import SceneConfig, render_scenes
from tracker.scenes.textures import TextureBank

ALWAYS = EditingConfig(fade=1, exposure=1, other_shot=1)
SMALL = SceneConfig(frames=12, height=48, width=64, points=16)


@pytest.fixture(scope="module")
def textures() -> TextureBank:
    return TextureBank.builtin(64)


def test_off_leaves_a_clip_alone(textures):
    editing = draw_editing(Generator().manual_seed(0), EditingConfig(), 8, textures)
    video = torch.rand(3, 8, 16, 16)
    assert torch.equal(editing.apply(video.clone()), video)
    assert editing.shows.all()


def test_every_effect_happens_and_some_frame_shows_the_scene(textures):
    drawn = [draw_editing(Generator().manual_seed(k), ALWAYS, 16, textures) for k in range(40)]
    assert all(editing.shows.any() for editing in drawn)
    assert sum(bool((editing.gain < DARK).any()) for editing in drawn) > 20
    assert sum(bool((editing.gain > 1.05).any()) for editing in drawn) > 5
    shots = [editing for editing in drawn if editing.elsewhere.any()]
    assert len(shots) > 30
    for editing in shots:  # frames in a row
        assert (editing.elsewhere.int().diff().abs().sum()) <= 2


def test_frames_are_dimmed_or_replaced():
    gain = torch.tensor([1.0, 0.5, 0.0])
    picture = torch.full((3, 8, 8), 0.25)
    video = torch.full((3, 3, 4, 4), 0.8)
    editing = Editing(gain, torch.tensor([True, False, False]), picture)
    edited = editing.apply(video)
    wanted = torch.tensor([0.25, 0.4, 0.0])[:, None, None].expand(3, 4, 4)
    torch.testing.assert_close(edited, wanted.expand(3, 3, 4, 4))
    assert editing.shows.tolist() == [False, True, False]


def test_no_point_is_visible_where_a_clip_shows_nothing(textures):
    config = SceneConfig(
        frames=12, height=48, width=64, points=16, editing=EditingConfig(fade=1, other_shot=1)
    )
    scenes = render_scenes(range(5), config, textures)
    dark = scenes.video.amax((2, 3, 4)) < 0.02
    assert dark.any()
    assert not (scenes.visible & dark[:, None]).any()
    assert scenes.visible.any(2).all()


def test_effects_that_are_off_change_no_scene(textures):
    """Scenes of a seed stay what they were before there were such effects."""
    edited = SceneConfig(**vars(SMALL) | {"editing": EditingConfig(exposure=1)})
    plain, other = (render_scenes([3], config, textures) for config in (SMALL, edited))
    assert torch.equal(plain.xy, other.xy)
    assert not torch.equal(plain.video, other.video)
