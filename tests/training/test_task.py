"""Training the head: what changes, what does not, and what it can begin with."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import TINY_HEAD, tiny_tracker
from tiny_runs import history, make_loop

from tracker.errors import UserError
from tracker.training.batches import FlowConfig, ProceduralTracks, TrackedBatches
from tracker.training.warm_start import start_from


def fingerprint(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + tensor.detach().numpy().tobytes())
    return digest.hexdigest()


def test_losses_in_half_precision_are_nearly_the_same(tmp_path: Path) -> None:
    loop = make_loop(tmp_path)
    batch = TrackedBatches(ProceduralTracks(6, (64, 64), 8), FlowConfig()).batch([0])
    inputs = loop.task.inputs(batch)
    exact = loop.task.model(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        rough = loop.task.model(*inputs)
    assert rough["coarse"] != exact["coarse"]
    for name in ("coarse", "matching", "visibility"):
        torch.testing.assert_close(rough[name], exact[name], rtol=0.05, atol=0.02)
    rough["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in loop.task.model.parameters())


def test_training_changes_the_head_and_no_byte_of_the_backbone(tmp_path: Path) -> None:
    loop = make_loop(tmp_path)
    tracker = loop.task.tracker
    before = fingerprint(tracker.backbone.model.state_dict()), fingerprint(tracker.state_dict())
    loop.train()
    assert fingerprint(tracker.backbone.model.state_dict()) == before[0]
    assert fingerprint(tracker.state_dict()) != before[1]
    groups = [group for optimizer in loop.optimizers for group in optimizer.param_groups]
    trained = {id(p) for group in groups for p in group["params"]}
    assert not trained & {id(p) for p in tracker.backbone.model.parameters()}
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    assert not any("encoder." in name for name in saved)


def test_loss_falls_on_one_batch(tmp_path: Path) -> None:
    class Same:
        _source = TrackedBatches(ProceduralTracks(6, (64, 64), 8), FlowConfig())

        def batch(self, numbers: list[int]):
            return self._source.batch([0])

    make_loop(tmp_path, Same(), max_steps=40, learning_rate=3e-3).train()
    losses = history(tmp_path)[:, 1]
    assert losses[-5:].mean() < 0.7 * losses[:5].mean()


def test_a_damaged_warm_start_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"garbage")
    with pytest.raises(UserError, match=r"warm_start: .*model\.safetensors is damaged"):
        start_from(tiny_tracker(), str(tmp_path))


def test_a_head_of_the_coarse_match_alone_begins_a_whole_one(tmp_path: Path) -> None:
    matching = tiny_tracker(head=replace(TINY_HEAD, iterations=0))
    for parameter in matching.head.parameters():
        parameter.data += 0.5
    matching.save_pretrained(tmp_path)
    whole = tiny_tracker()
    fresh = {k: v.clone() for k, v in whole.head.state_dict().items()}
    start_from(whole, str(tmp_path))
    learned = matching.head.state_dict()
    for name, value in whole.head.state_dict().items():
        expected = fresh[name] if name.startswith("refine.") else learned[name]
        torch.testing.assert_close(value, expected, atol=1e-3, rtol=1e-3)


def test_one_part_can_be_trained_alone(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, part="refine")
    head = loop.task.tracker.head
    before = {k: v.clone() for k, v in head.state_dict().items()}
    loop.train()
    changed = {k for k, v in head.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {k for k in before if k.startswith("refine.")}


def test_a_warm_start_of_another_shape_is_one_line(tmp_path: Path) -> None:
    tiny_tracker(head=replace(TINY_HEAD, iterations=0, stem_channels=8)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"do not fit config of this run: \w+.* more differ"):
        start_from(tiny_tracker(), str(tmp_path))
