"""Train the tracker's head on clips with true tracks.

    python train_tracker.py +experiment=mini_match
    python train_tracker.py +experiment=mini_refine
    python train_tracker.py backbone=vitl data.textures=my_photos training.max_minutes=600
    accelerate launch --num_processes 4 train_tracker.py backbone=vitl training.precision=bf16

The run's folder (run_dir) holds checkpoint.pt, history.csv, validation.csv, TensorBoard's files and
best/, the best weights so far, and last/, those of the end. The same command again goes on where
the run stopped.
"""

from __future__ import annotations

import sys

from omegaconf import OmegaConf

from tracker.errors import exit_on_user_error
from tracker.hydra_entry import compose, instantiate, open_run


@exit_on_user_error
def main() -> int:
    """Train; return the exit code."""
    config = compose("train_tracker", sys.argv[1:], __doc__)
    import torch
    from accelerate import Accelerator

    from tracker.data.training import TrackedBatches
    from tracker.devices import check_rendering
    from tracker.model import PointTracker, TrackerConfig
    from tracker.template import PositionalTemplate
    from tracker.training import TrackingTask, start_from, train_only
    from tracker.training_loop import TrainingLoop

    run = open_run(config)
    training = instantiate(config.training)
    check_rendering(OmegaConf.to_container(config.data), training.workers)
    torch.manual_seed(training.seed)
    accelerator = Accelerator(mixed_precision=training.precision)
    raw = config.template in (None, "none")
    template = None if raw else PositionalTemplate.load(config.template)
    tracker = PointTracker(
        TrackerConfig(
            instantiate(config.backbone),
            instantiate(config.head),
            instantiate(config.inference),
            config.fine_size,
        ),
        template,
    ).to(accelerator.device)
    if config.warm_start:
        start_from(tracker, config.warm_start)
    if config.train_only:
        train_only(tracker.head, config.train_only)
    task = TrackingTask(tracker, instantiate(config.loss), instantiate(config.validation))
    flow = instantiate(config.flow) if tracker.config.head.reads_flow else None
    source = TrackedBatches(instantiate(config.data), flow)
    loop = TrainingLoop(task, source, training, run, accelerator)
    if loop.is_main:
        trained = sum(p.numel() for p in tracker.parameters() if p.requires_grad)
        print(f"training {trained / 1e6:.2f} M parameters; run in {run.path}")
    best = loop.train()
    if loop.is_main:
        print(f"best validation AJ {100 * best:.1f}; tracker written: {run.best}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
