"""Train the tracker's head on clips with true tracks.

  vjepa-tracker train +experiment=train/mini_match
  vjepa-tracker train +experiment=train/mini_refine
  vjepa-tracker train backbone=vitl data.textures=my_photos training.max_minutes=600
  accelerate launch --num_processes 4 train_tracker.py backbone=vitl training.precision=bf16

The run's folder (run_dir) holds checkpoint.pt, history.csv, validation.csv, TensorBoard's files and
best/, the best weights so far, and last/, those of the end. The same command again goes on where
the run stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tracker.errors import exit_on_user_error
from tracker.settings import compose


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Train the head that the overrides in `argv` describe; return the exit code."""
    config = compose("train_tracker", sys.argv[1:] if argv is None else argv, __doc__)
    from tracker.training.build import build_training, open_run

    loop = build_training(config, open_run(config))
    if loop.is_main:
        trained = sum(p.numel() for p in loop.task.tracker.parameters() if p.requires_grad)
        print(f"training {trained / 1e6:.2f} M parameters; run in {loop.run.path}")
    best = loop.train()
    if loop.is_main:
        print(f"best validation AJ {100 * best:.1f}; tracker written: {loop.run.best}")
    return 0
