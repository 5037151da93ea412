"""From settings to objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracker.datasets.clips import ProceduralClips
from tracker.errors import UserError
from tracker.pretraining.jepa.batches import MixedClips
from tracker.scenes.motion import MotionConfig
from tracker.scenes.renderer import SceneConfig
from tracker.settings import build

SCENE = "tracker.scenes.renderer.SceneConfig"


def test_a_dataclass_inside_needs_no_target() -> None:
    scene = build({"_target_": SCENE, "frames": 6, "motion": {"spin": 1.0}})
    assert scene == SceneConfig(frames=6, motion=MotionConfig(spin=1.0))


def test_some_settings_of_a_scene_are_completed_by_the_data() -> None:
    settings = {
        "_target_": "tracker.training.batches.ProceduralTracks",
        "frames": 4,
        "size": [32, 48],
        "points": 3,
        "scene": {"max_sprites": 5, "motion": {"spin": 1.0}},
    }
    video, xy, _ = build(settings).clips([0])
    assert (video.shape, xy.shape) == ((1, 4, 3, 32, 48), (1, 3, 4, 2))
    with pytest.raises(UserError, match=r"data cannot be built .*'frames'"):
        build(settings | {"scene": {"frames": 8}}, "data")


def test_sources_are_built_by_name() -> None:
    rendered = {
        "_target_": "tracker.datasets.clips.ProceduralClips",
        "frames": 2,
        "size": [32, 32],
    }
    mix = {
        "_target_": "tracker.pretraining.jepa.batches.MixedClips",
        "frames": 2,
        "size": [32, 32],
        "sources": {"a": rendered, "b": rendered},
        "shares": {"a": 1, "b": 2.5},
    }
    assert isinstance(build(mix), MixedClips)
    assert isinstance(build(rendered), ProceduralClips)
    with pytest.raises(UserError, match=r"data.sources.b has no _target_"):
        build(mix | {"sources": {"a": rendered, "b": {"frames": 2}}}, "data")


@pytest.mark.parametrize("missing", [{}, {"folder": "???"}])
def test_what_has_to_be_given_is_named(missing: dict, tmp_path: Path) -> None:
    settings = {"_target_": "tracker.datasets.clips.VideoClips.from_folder", **missing}
    with pytest.raises(UserError, match=r"data\.folder is not set; give data\.folder="):
        build(settings | {"frames": 4, "size": [32, 32]}, "data")


def test_errors_of_what_is_built_come_through() -> None:
    with pytest.raises(UserError, match=r"bend 0\.9: use 0 <= bend < 0\.5"):
        build({"_target_": SCENE, "motion": {"bend": 0.9}})


def test_nothing_but_targets_of_this_package_runs(tmp_path: Path) -> None:
    hostile = {"_target_": "pathlib.Path.touch", "self": str(tmp_path / "ran")}
    for settings in (hostile, {"_target_": SCENE, "motion": hostile}, {"inside": hostile}):
        with pytest.raises(UserError, match="settings build nothing else"):
            build(settings)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["_partial_", "_args_", "_convert_", "_recursive_"])
def test_keys_of_hydra_itself_are_no_settings(key: str) -> None:
    with pytest.raises(UserError, match=f"no setting {key}"):
        build({"_target_": SCENE, key: True})
