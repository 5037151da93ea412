"""Pretraining from end to end, with a tiny architecture."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import VJEPA2Model

from tracker.errors import UserError
from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.pretraining.build import build_pretraining
from tracker.pretraining.jepa.batches import JepaBatches
from tracker.settings import CONFIG_DIR, compose, instantiate
from tracker.training.loop import TrainingLoop
from tracker.training.run_folder import RunFolder
from tracker.video.pixels import normalise
from tracker.video.writing import write_video

ENTRY = Path(__file__).resolve().parents[2] / "pretrain_backbone.py"
TINY = [
    *(f"architecture.{name}=2" for name in ("num_hidden_layers", "num_attention_heads")),
    *("architecture.hidden_size=48", "architecture.pred_hidden_size=32"),
    *("architecture.pred_num_hidden_layers=1", "architecture.pred_num_attention_heads=2"),
    *("training.batch_size=2", "training.workers=0", "training.max_steps=6"),
    *("training.validate_every=3", "training.checkpoint_every=2"),
    *("validation.scenes=1", "validation.template_scenes=2", "validation.points=8"),
    *("jepa.deep_layers=[1]", "jepa.context_weight=0.5", "jepa.variance_weight=0.5"),
]
SMALL = ["data.frames=4", "data.size=[64,64]"]


@pytest.fixture(scope="module")
def few_textures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two small pictures: reading those of scikit-image for every run would take the most time."""
    folder = tmp_path_factory.mktemp("textures")
    rng = np.random.default_rng(0)
    for index in range(2):
        picture = rng.integers(0, 255, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(picture).save(folder / f"{index}.png")
    return [f"data.textures={folder}", f"validation.textures={folder}"]


def loop_of(folder: Path, *overrides: str) -> TrainingLoop:
    config = compose("pretrain_backbone", [*TINY, *SMALL, *overrides], None)
    return build_pretraining(config, RunFolder(folder, {}, "auto"))[0]


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, run_command: Callable, few_textures: list[str]
) -> tuple[Path, str, Path]:
    """A run of the command on a folder of videos, one of them damaged: folder, output, videos."""
    root = tmp_path_factory.mktemp("pretrain")
    videos = root / "videos"
    videos.mkdir()
    rng = np.random.default_rng(0)
    for index in range(2):
        frames = rng.integers(0, 255, (6, 80, 96, 3), np.uint8)
        write_video(videos / f"{index}.mp4", frames, fps=10)
    (videos / "broken.mp4").write_bytes(b"no video")
    run = root / "run"
    data = ["pretrain_data@data=videos", f"data.folder={videos}", f"run_dir={run}", "threads=1"]
    data.append(few_textures[1])
    outcome = run_command(ENTRY, *TINY, *SMALL, *data, cwd=root)
    assert outcome.code == 0, outcome.err
    return run, outcome.out + outcome.err, videos


class TestRun:
    def test_history_and_validation(self, finished: tuple[Path, str, Path]) -> None:
        run, out, _ = finished
        history = rows(run / "history.csv")
        header = ["step", "loss", "prediction", "context", "variance", "learning_rate"]
        assert history[0] == header and [row[0] for row in history[1:]] == list("123456")
        validation = rows(run / "validation.csv")
        signs = {"feature_std", "effective_rank", "positional_share", "residual_rank"}
        matching = {"pck_raw", "pck_template", "pck_layers", "random_moved_layers", "still_pck"}
        assert signs | matching <= set(validation[0])
        assert [row[0] for row in validation[1:]] == ["3", "6"]
        assert "random_moved_layers" in out and ("beats" in out or "does NOT beat" in out)

    def test_unreadable_videos_are_listed(self, finished: tuple[Path, str, Path]) -> None:
        assert finished[1].count("warning: skipped") == 1 and "broken.mp4" in finished[1]

    def test_transformers_loads_the_result(self, finished: tuple[Path, str, Path]) -> None:
        best = finished[0] / "best"
        assert sorted(p.name for p in best.iterdir()) == ["config.json", "model.safetensors"]
        model, report = VJEPA2Model.from_pretrained(best, output_loading_info=True)
        assert not report["missing_keys"] and not report["unexpected_keys"]
        assert model.dtype == torch.float32 and model.config.crop_size == 64
        # Half precision on disk: two bytes a weight.
        weights = sum(p.numel() for p in model.parameters())
        assert (best / "model.safetensors").stat().st_size < 2.2 * weights + 10_000

    def test_frozen_backbone_agrees_with_transformers(
        self, finished: tuple[Path, str, Path]
    ) -> None:
        best = finished[0] / "best"
        backbone = FrozenBackbone(BackboneConfig(str(best), (2,), (64, 64), 4))
        video = torch.rand(1, 4, 3, 64, 64)
        features = backbone(video).features[0, 0].permute(0, 2, 3, 1).flatten(0, 2)
        with torch.no_grad():
            model = VJEPA2Model.from_pretrained(best).eval()
            expected = model(normalise(video), skip_predictor=True).last_hidden_state[0]
        torch.testing.assert_close(features, expected, rtol=0, atol=2e-5)

    def test_best_goes_on_as_init_from(
        self, finished: tuple[Path, str, Path], few_textures: list[str]
    ) -> None:
        overrides = [*TINY[6:], *SMALL, *few_textures, f"init_from={finished[0] / 'best'}"]
        config = compose("pretrain_backbone", overrides, None)
        loop, _ = build_pretraining(config, RunFolder(finished[0].parent / "more", {}))
        assert loop.task.model.online.config.hidden_size == 48


class TestLoop:
    def test_killed_and_resumed_is_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_textures: list[str]
    ) -> None:
        loop_of(tmp_path / "whole", *few_textures).train()
        killed = loop_of(tmp_path / "killed", *few_textures)
        batch = JepaBatches.batch

        def stop_at_step_5(self: JepaBatches, numbers: list[int]) -> object:
            if numbers[0] == 8:
                raise KeyboardInterrupt
            return batch(self, numbers)

        with monkeypatch.context() as patch:
            patch.setattr(JepaBatches, "batch", stop_at_step_5)
            with pytest.raises(KeyboardInterrupt):
                killed.train()
        assert len(rows(tmp_path / "killed" / "history.csv")) == 5
        resumed = loop_of(tmp_path / "killed", *few_textures)
        resumed.train()
        for name in ("history.csv", "validation.csv"):
            assert rows(tmp_path / "killed" / name) == rows(tmp_path / "whole" / name)

    def test_saved_encoder_is_the_target(self, tmp_path: Path, few_textures: list[str]) -> None:
        short = ["save_dtype=float32", "training.max_steps=2"]
        loop = loop_of(tmp_path / "run", *short, *few_textures)
        loop.train()
        saved = VJEPA2Model.from_pretrained(loop.run.best).encoder.state_dict()
        model = loop.task.model
        for name, value in model.target.state_dict().items():
            assert torch.equal(value, saved[name]), name
        online = model.online.encoder.state_dict()
        assert any(not torch.equal(value, saved[name]) for name, value in online.items())

    def test_settings_fit_each_other(self, tmp_path: Path, few_textures: list[str]) -> None:
        with pytest.raises(UserError, match="multiple of 16 pixels"):
            loop_of(tmp_path / "run", "data.size=[64,70]")
        with pytest.raises(UserError, match="deep_layers"):
            loop_of(tmp_path / "run", "jepa.deep_layers=[9]", *few_textures)
        with pytest.raises(UserError, match="leave fewer than 1 of"):
            loop_of(tmp_path / "run", "data.size=[16,16]", *few_textures).train()
        assert not list(tmp_path.iterdir())


class TestConfigs:
    @pytest.mark.parametrize("path", sorted(CONFIG_DIR.glob("pretrain_data/*.yaml")), ids=str)
    def test_every_kind_of_data_composes(self, path: Path) -> None:
        config = compose("pretrain_backbone", [f"pretrain_data@data={path.stem}"], None)
        assert config.validation.frames == config.data.frames == 16

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (["pretrain_data@data=videos"], "data.folder"),
            (["pretrain_data@data=moved_images"], "data.textures"),
            (["pretrain_data@data=videos", "data.folder=/nowhere"], "/nowhere does not exist"),
            (["pretrain_data@data=moved_images", "data.textures=/nowhere"], "/nowhere"),
            (["data.device=abacus"], "device abacus cannot be used"),
            (["data.size=128"], "data.size=128: give height and width"),
            (["save_dtype=float64"], "save_dtype=float64 must be float16 or float32"),
            (["validation.device=abacus"], "device abacus cannot be used"),
        ],
        ids=str,
    )
    def test_data_that_is_not_there(self, data: list[str], words: str, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=words):
            loop_of(tmp_path / "run", *data)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["cpu", "gpu"])
    def test_experiments_build_what_they_name(self, name: str) -> None:
        config = compose("pretrain_backbone", [f"+experiment=pretrain/{name}"], None)
        assert instantiate(config.jepa).deep_layers == (2, 4, 6)
        assert instantiate(config.training).max_steps == config.training.max_steps
        assert config.run_dir == f"runs/pretrain_{name}"
