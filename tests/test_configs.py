"""Every configuration file composes, and builds what it describes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracker.datasets.clips import VideoClips
from tracker.datasets.track_folders import FolderTracks
from tracker.features.vjepa21 import HIERARCHICAL_LAYERS
from tracker.settings import CONFIG_DIR, compose, instantiate

PUBLISHED = {
    "vitl": ("facebook/vjepa2-vitl-fpc64-256", 24, 256),
    "vith": ("facebook/vjepa2-vith-fpc64-256", 32, 256),
    "vitg": ("facebook/vjepa2-vitg-fpc64-256", 40, 256),
    "vitg384": ("facebook/vjepa2-vitg-fpc64-384", 40, 384),
}


PUBLISHED_21 = {
    "vjepa21_vitb": ("vjepa2_1_vitb_dist_vitG_384.pt", (3, 6, 9, 12)),
    "vjepa21_vitl": ("vjepa2_1_vitl_dist_vitG_384.pt", (6, 12, 18, 24)),
    "vjepa21_vitg": ("vjepa2_1_vitg_384.pt", (10, 20, 30, 40)),
    "vjepa21_vitgg": ("vjepa2_1_vitG_384.pt", (12, 24, 38, 48)),
}


def names(group: str) -> list[str]:
    return sorted(path.stem for path in Path(CONFIG_DIR, group).glob("*.yaml"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_backbones(name: str) -> None:
    config = instantiate(compose("train_tracker", [f"backbone={name}"], None).backbone)
    source, depth, size = PUBLISHED[name]
    assert (config.source, max(config.layers)) == (source, depth)
    assert config.input_size == (size, size)


@pytest.mark.parametrize("name", PUBLISHED_21)
def test_published_backbones_of_2_1(name: str) -> None:
    config = instantiate(compose("train_tracker", [f"backbone={name}"], None).backbone)
    assert (config.source, config.layers) == PUBLISHED_21[name]
    assert config.input_size == (384, 384)
    assert config.layers == tuple(i + 1 for i in HIERARCHICAL_LAYERS[config.layers[-1]])


@pytest.mark.parametrize("name", names("head"))
def test_heads(name: str) -> None:
    head = instantiate(compose("train_tracker", [f"head={name}"], None).head)
    assert (head.iterations == 0) == (name == "coarse_only")


def test_branches_are_one_override() -> None:
    config = compose("train_tracker", ["head.use_rgb=false", "head.use_vjepa=true"], None)
    assert not instantiate(config.head).use_rgb


@pytest.mark.parametrize("name", names("data"))
def test_data(name: str) -> None:
    settings = compose("train_tracker", [f"data={name}", "data.frames=4"], None).data
    settings.size = [64, 64]
    if name == "procedural":
        video, xy, visible = instantiate(settings).clips([1])
        assert (video.shape, xy.shape) == ((1, 4, 3, 64, 64), (1, 128, 4, 2))
        assert visible.any()


ENTRIES = {"train": "train_tracker", "pretrain": "pretrain_backbone"}
EXPERIMENTS = [(group, name) for group in ENTRIES for name in names(f"experiment/{group}")]


@pytest.mark.parametrize(("group", "name"), EXPERIMENTS)
def test_experiments_compose_with_their_entry(group: str, name: str) -> None:
    config = compose(ENTRIES[group], [f"+experiment={group}/{name}"], None)
    assert config.run_dir.startswith("runs/") and name in config.run_dir
    instantiate(config.training)


@pytest.mark.parametrize("recipe", ["vitl", "mini_match_gpu", "mini_refine_gpu"])
def test_recipes_of_a_gpu_take_data_from_files_too(recipe: str, tmp_path: Path) -> None:
    plain = compose("train_tracker", [f"+experiment=train/{recipe}"], None)
    assert (plain.data.device, plain.training.workers) == ("cpu", 12)
    for name, file in (("kubric", "0000/0000.npy"), ("point_odyssey", "scene/anno.npz")):
        annotation = tmp_path / name / file
        annotation.parent.mkdir(parents=True)
        annotation.touch()
        overrides = [f"+experiment=train/{recipe}", f"data={name}", f"data.root={tmp_path / name}"]
        assert isinstance(instantiate(compose("train_tracker", overrides, None).data), FolderTracks)


def test_the_pretraining_recipe_of_a_gpu_takes_videos_too(clip: Path) -> None:
    recipe = ["+experiment=pretrain/gpu"]
    assert compose("pretrain_backbone", recipe, None).data.device == "cuda"
    overrides = [*recipe, "pretrain_data@data=videos", f"data.folder={clip.parent}"]
    assert isinstance(instantiate(compose("pretrain_backbone", overrides, None).data), VideoClips)


@pytest.mark.parametrize("name", names("benchmark"))
def test_benchmarks_say_where_they_are_published(name: str) -> None:
    config = compose("evaluate", [f"benchmark={name}"], None).benchmark
    assert name.startswith("procedural") or config.published_at.startswith("https://")
