"""Pretrain a V-JEPA 2 backbone: distil a teacher, or predict what is hidden (arXiv 2404.08471).

  vjepa-tracker pretrain +experiment=pretrain/distill_cpu photographs=my_photos
  vjepa-tracker pretrain objective=distill photographs=my_photos teacher.name=facebook/dinov2-small
  vjepa-tracker pretrain +experiment=pretrain/cpu
  vjepa-tracker pretrain +experiment=pretrain/gpu data.textures=my_photos
  vjepa-tracker pretrain pretrain_data@data=videos data.folder=my_videos init_from=mini
  vjepa-tracker pretrain pretrain_data@data=moved_images data.textures=my_photos

The run's folder (run_dir) holds checkpoint.pt, history.csv, validation.csv, TensorBoard's files and
best/ and last/, transformers folders: backbone.source=RUN_DIR/last elsewhere, or
VJEPA2Model.from_pretrained. best/ matched best on held-out clips, last/ is the end of training. The
same command again goes on where the run stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracker.errors import exit_on_user_error, log
from tracker.settings import compose

if TYPE_CHECKING:
    from tracker.training.loop import TrainingLoop


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Pretrain the backbone that the overrides in `argv` describe; return the exit code."""
    config = compose("pretrain_backbone", sys.argv[1:] if argv is None else argv, __doc__)
    from tracker.pretraining.build import build_pretraining
    from tracker.training.build import open_run

    loop, skipped = build_pretraining(config, open_run(config))
    if loop.is_main:
        encoder = sum(p.numel() for p in loop.task.snapshot().encoder.parameters())
        print(f"encoder of {encoder / 1e6:.2f} M parameters; run in {loop.run.path}")
    best = loop.train()
    if loop.is_main:
        report(loop, best, skipped)
    return 0


def report(loop: TrainingLoop, best: float, unopened: dict[str, str]) -> None:
    """Print the outcome, and what could not be read."""
    task = loop.task
    print(f"best frozen matching of points that moved (moved_layers): {100 * best:.1f} %")
    for name, value in task.baselines.items():
        print(f"  {name}: {100 * value:.1f} %")
    if task.baselines:
        verdict = "beats" if best > task.baselines["random_moved_layers"] else "does NOT beat"
        print(f"the trained backbone {verdict} random weights")
    if getattr(task, "pictures", 0):
        rate = task.pictures / max(task.seconds, 1e-9)
        print(f"saw {task.pictures} pictures (tubelets), {rate:.1f} a second")
    print(f"backbone written: {loop.run.best}")
    for path, reason in unopened.items():
        log.warning("skipped %s: %s", path, reason)
    for reason, count in task.unreadable.most_common():
        log.warning("replaced %d clips that could not be read: %s", count, reason)
