"""The recipe for a published checkpoint runs from its template to a tracker that tracks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from meta_files import save_meta_21
from tiny_models import tiny_video
from transformers import VJEPA2Config, VJEPA2Model

from tracker.points.queries import Queries
from tracker.tracking.tracker import PointTracker

ROOT = Path(__file__).resolve().parent.parent
LAYERS = 2
"""ViT-L has 24; everything else of the checkpoint has its shape."""

SHORT = [
    "training.workers=0",
    "data.frames=2",
    "data.size=[64,64]",
    "data.points=8",
    "fine_size=[64,64]",
    "benchmark@validation=procedural_128",
    "validation.scenes=1",
    "validation.config.frames=4",
    "training.max_steps=1",
    "threads=1",
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the published one, with random weights."""
    folder = tmp_path_factory.mktemp("vitl") / "checkpoint"
    config = VJEPA2Config(num_hidden_layers=LAYERS, pred_num_hidden_layers=1)
    assert (config.hidden_size, config.num_attention_heads, config.crop_size) == (1024, 16, 256)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        VJEPA2Model(config).half().save_pretrained(folder)
    return folder


def train_and_track(run_command: Callable, folder: Path, *overrides: str) -> PointTracker:
    """Train on the folder's template as overrides say, and let what is saved track."""
    given = [*overrides, "backbone.window=2", "template=t.safetensors", "run_dir=run", *SHORT]
    result = run_command(ROOT / "train_tracker.py", *given, cwd=folder)
    assert result.code == 0, result.err
    tracker = PointTracker.from_pretrained(folder / "run" / "best")
    assert tracker.template is not None
    tracks = tracker.track(tiny_video(4), Queries.grid(2, (96, 64)))
    assert tracks.xy.shape == (4, 4, 2)
    return tracker


def test_vitl_recipe(checkpoint: Path, run_command: Callable, tmp_path: Path) -> None:
    layers = [str(i + 1) for i in range(LAYERS)]
    fit = ["-m", "data_prep.fit_template", "--backbone", checkpoint, "--layers", *layers]
    options = ["--clips", "2", "--window", "2", "--out", "t.safetensors"]
    fitted = run_command(*fit, *options, cwd=tmp_path)
    assert fitted.code == 0, fitted.err
    tracker = train_and_track(
        run_command,
        tmp_path,
        "+experiment=train/vitl",
        f"backbone.source={checkpoint}",
        f"backbone.layers=[{','.join(layers)}]",
    )
    assert tracker.backbone.channels == 1024


def test_vjepa21_recipe(run_command: Callable, tmp_path: Path) -> None:
    """On a small file in Meta's layout, converted as the recipe says."""
    file = save_meta_21(tmp_path / "vjepa2_1_vitl_dist_vitG_384.pt")
    convert = ["-m", "tracker.cli", "convert-backbone", file.name, "vjepa21_vitl"]
    converted = run_command(*convert, cwd=tmp_path)
    assert converted.code == 0, converted.err
    size = ["--size", "32", "32", "--window", "2"]
    fit = ["-m", "data_prep.fit_template", "--backbone", "vjepa21_vitl", "--layers", "6", "12"]
    fitted = run_command(*fit, *size, "--clips", "2", "--out", "t.safetensors", cwd=tmp_path)
    assert fitted.code == 0, fitted.err
    tracker = train_and_track(
        run_command,
        tmp_path,
        "+experiment=train/vjepa21_vitl",
        "backbone.source=vjepa21_vitl",
        "backbone.layers=[6,12]",
        "backbone.input_size=[32,32]",
    )
    assert tracker.backbone.architecture.model_type == "vjepa2_1"


def test_mini_gpu_recipes(run_command: Callable, tmp_path: Path) -> None:
    def train(recipe: str, *settings: str) -> PointTracker:
        command = [ROOT / "train_tracker.py", f"+experiment=train/{recipe}", f"run_dir={recipe}"]
        result = run_command(*command, *SHORT, *settings, cwd=tmp_path)
        assert result.code == 0, result.err
        return PointTracker.from_pretrained(tmp_path / recipe / "best")

    matching = train("mini_match_gpu")
    assert matching.config.head.iterations == 0
    trained = train("mini_refine_gpu", "warm_start=mini_match_gpu/best")
    assert torch.equal(trained.head.stem.out4.weight, matching.head.stem.out4.weight)
    assert trained.config.head == PointTracker.from_pretrained("mini").config.head
