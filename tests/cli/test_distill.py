"""Distillation from end to end, with a tiny student and a tiny teacher."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import save_tiny_backbone
from tiny_teachers import save_tiny_teacher
from transformers import VJEPA2Model

from tracker.errors import UserError
from tracker.pretraining.build import build_pretraining
from tracker.pretraining.distill.batches import DistillBatches
from tracker.settings import compose
from tracker.training.loop import TrainingLoop
from tracker.training.run_folder import RunFolder
from tracker.video.writing import write_video

ENTRY = Path(__file__).resolve().parents[2] / "pretrain_backbone.py"
TINY = [
    *(f"architecture.{name}=2" for name in ("num_hidden_layers", "num_attention_heads")),
    *("architecture.hidden_size=48", "architecture.pred_hidden_size=32"),
    *("architecture.pred_num_hidden_layers=1", "architecture.pred_num_attention_heads=2"),
    *("training.batch_size=4", "training.workers=0", "training.max_steps=4", "threads=1"),
    *("training.validate_every=2", "training.checkpoint_every=2", "training.max_minutes=null"),
    *("validation.scenes=1", "validation.template_scenes=2", "validation.points=8"),
    *("validation.frames=4", "data.frames=4", "data.size=[64,64]", "validation.device=cpu"),
    *("views.photograph_views=1", "views.video_views=1", "views.video_frames=4"),
    *("views.smallest=64", "views.largest=96", "crops.sizes=[32,64]", "crops.slots=[1,2]"),
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two photographs and a damaged one, a video and a damaged one, textures for validation."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("photographs", "videos"):
        (root / name).mkdir()
    for number in range(2):
        pixels = rng.integers(0, 255, (12, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(pixels).save(root / "photographs" / f"{number}.png")
    (root / "photographs" / "broken.png").write_bytes(b"no picture")
    frames = rng.integers(0, 255, (6, 80, 96, 3), np.uint8)
    write_video(root / "videos" / "one.mp4", frames, fps=10)
    (root / "videos" / "broken.mp4").write_bytes(b"no video")
    return [
        f"photographs={root / 'photographs'}",
        f"videos=[{root / 'videos'}]",
        f"validation.textures={root / 'photographs'}",
    ]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_teacher("dinov2", tmp_path_factory.mktemp("teacher"))


def loop_of(folder: Path, *overrides: str) -> TrainingLoop:
    cache = f"teacher.cache={folder.parent / 'maps'}"
    config = compose("pretrain_backbone", [*TINY, cache, *overrides], None)
    return build_pretraining(config, RunFolder(folder, {}, "auto"))[0]


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_run(pictures: list[str], teacher: Path, run_command: Callable, tmp_path: Path) -> None:
    """The command leaves a folder that transformers loads, and tells what it did."""
    command = [ENTRY, "objective=distill", *TINY, *pictures, f"teacher.name={teacher}"]
    outcome = run_command(*command, "run_dir=run", "teacher.cache=maps", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("warning: skipped") == 2
    assert "broken.png" in outcome.err and "broken.mp4" in outcome.err
    assert "a second" in outcome.out and "teacher's maps: 1 views" in outcome.out
    model, report = VJEPA2Model.from_pretrained(tmp_path / "run/last", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert (model.config.hidden_size, model.dtype) == (48, torch.float32)
    assert rows(tmp_path / "run/history.csv")[0] == ["step", "loss", "visible", "learning_rate"]
    scores = rows(tmp_path / "run/validation.csv")[0]
    assert {"moved_layers", "random_moved_layers", "pictures_per_second"} <= set(scores)


def test_both_objectives_at_once(pictures: list[str], teacher: Path, tmp_path: Path) -> None:
    masks = ["masks.short.blocks=1", "masks.long.blocks=1", "crops.sizes=[64]"]
    settings = [*pictures, f"teacher.name={teacher}", *masks, "objective=both"]
    loop = loop_of(tmp_path / "run", *settings)
    predictor = loop.task.model.student.predictor.state_dict()
    before = {name: value.clone() for name, value in predictor.items()}
    loop.train()
    assert {"visible", "hidden"} <= set(rows(loop.run.history)[0])
    after = loop.task.model.student.predictor.state_dict()
    assert not torch.equal(after["proj.weight"], before["proj.weight"])


def test_killed_and_resumed_is_the_same(
    pictures: list[str], teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*pictures, f"teacher.name={teacher}", "objective=distill"]
    settings.append("training.optimizer=muon")
    loop_of(tmp_path / "whole", *settings).train()
    killed = loop_of(tmp_path / "killed", *settings)
    batch = DistillBatches.batch

    def stop_at_step_4(self: DistillBatches, numbers: list[int]) -> object:
        if numbers[0] == 12:
            raise KeyboardInterrupt
        return batch(self, numbers)

    with monkeypatch.context() as patch:
        patch.setattr(DistillBatches, "batch", stop_at_step_4)
        with pytest.raises(KeyboardInterrupt):
            killed.train()
    assert len(rows(tmp_path / "killed" / "history.csv")) == 4
    loop_of(tmp_path / "killed", *settings).train()
    assert rows(tmp_path / "killed/history.csv") == rows(tmp_path / "whole/history.csv")


def test_a_teacher_in_another_process_is_the_same(
    pictures: list[str], teacher: Path, tmp_path: Path
) -> None:
    settings = [*pictures, f"teacher.name={teacher}", "objective=distill", "teacher.when=each_crop"]
    for workers in (0, 1):
        run = loop_of(tmp_path / str(workers), *settings, f"training.workers={workers}")
        run.train()
    assert rows(tmp_path / "0/history.csv") == rows(tmp_path / "1/history.csv")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["photographs=/nowhere"], "/nowhere does not exist"),
        (["photographs=null", "videos=[]"], "no photograph and no video"),
        (["objective=divine"], "use jepa, distill, both"),
        (["teacher.name=/nowhere"], "cannot be loaded"),
        (["views.teacher_scale=0.2"], "smaller than the backbone's grid"),
        (["teacher.cache_gb=0.0000001"], "cache_gb"),
        (["distill.loss=l7"], "smooth_l1"),
    ],
    ids=str,
)
def test_bad_input(
    overrides: list[str], words: str, pictures: list[str], teacher: Path, tmp_path: Path
) -> None:
    settings = [*pictures, f"teacher.name={teacher}", "objective=distill", *overrides]
    with pytest.raises(UserError, match=words):
        loop_of(tmp_path / "run", *settings)
    assert not (tmp_path / "run").exists()


def test_recipe_for_a_published_teacher(
    pictures: list[str], run_command: Callable, tmp_path: Path
) -> None:
    """`distill_vitl` and `distill_gpu` run from the command to a backbone, with small things."""
    vjepa = save_tiny_backbone(tmp_path / "vitl")
    for recipe in ("distill_vitl", "distill_gpu"):
        small = [*TINY, "data.device=cpu", "training.precision=no", "crops.tokens=64"]
        command = [ENTRY, f"+experiment=pretrain/{recipe}", f"teacher.name={vjepa}"]
        folders = [f"run_dir={recipe}", "teacher.cache=maps", "teacher.layer=null"]
        outcome = run_command(*command, *small, *pictures, *folders, cwd=tmp_path)
        assert outcome.code == 0, outcome.err
        VJEPA2Model.from_pretrained(tmp_path / recipe / "best")
