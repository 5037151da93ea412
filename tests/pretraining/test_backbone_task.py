"""A backbone that trains: what is measured, and what users load."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from tiny_models import tiny_encoder
from torch import Generator
from transformers import VJEPA2Model

from tracker.pretraining.backbone_task import BackboneTask
from tracker.pretraining.matching import MatchingScores, MatchingYardstick
from tracker.training.batches import TrackedClips


class Untrained(BackboneTask):
    """Its model is its snapshot."""

    def __init__(self) -> None:
        random = Generator().manual_seed(0)
        video = torch.rand(3, 4, 3, 64, 64, generator=random)
        xy = 64 * torch.rand(1, 6, 1, 2, generator=random).repeat(1, 1, 4, 1)
        queries = torch.zeros(1, 6, dtype=torch.int64)
        still = TrackedClips(video[:1], xy, torch.ones(1, 6, 4, dtype=torch.bool), queries)
        self.model = tiny_encoder()
        yardstick = MatchingYardstick(still, video[1:])
        super().__init__(self.model, self.model.encoder, yardstick, (4, (64, 64)), [1, 2])

    def snapshot(self) -> VJEPA2Model:
        return self.model

    def signs(self, scores: MatchingScores) -> dict[str, float]:
        return {"rank": scores.effective_rank}


def test_a_validation_tells_matching_signs_and_what_has_to_be_beaten() -> None:
    task = Untrained()
    assert task.baselines == {}
    scores, picture = task.validate(picture=True)
    assert picture is None
    assert {task.best_metric, "rank"} | task.baselines.keys() < scores.keys()
    assert "random_moved_layers" in task.baselines
    found = task.baselines
    task.validate(picture=False)
    assert task.baselines is found  # they do not change, and are not measured again


def test_what_is_saved_is_half_as_large_and_loads_as_float32(tmp_path: Path) -> None:
    task = Untrained()
    task.save(tmp_path / "best")
    assert {p.name for p in (tmp_path / "best").iterdir()} == {"config.json", "model.safetensors"}
    stored = load_file(tmp_path / "best" / "model.safetensors")
    assert {weight.dtype for weight in stored.values()} == {torch.float16}
    model, report = VJEPA2Model.from_pretrained(tmp_path / "best", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert model.dtype == torch.float32
