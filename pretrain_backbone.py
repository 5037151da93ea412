"""Pretrain a V-JEPA 2 backbone: predict the features of what is hidden (arXiv 2404.08471).

    python pretrain_backbone.py +experiment=pretrain_cpu
    python pretrain_backbone.py +experiment=pretrain_gpu data.textures=my_photos
    python pretrain_backbone.py pretrain_data@data=videos data.folder=my_videos init_from=mini
    python pretrain_backbone.py pretrain_data@data=moved_images data.textures=my_photos

The run's folder (run_dir) holds checkpoint.pt, history.csv, validation.csv, TensorBoard's files and
best/ and last/, transformers folders: backbone.source=RUN_DIR/last elsewhere, or
VJEPA2Model.from_pretrained. best/ matched best on held-out clips, last/ is the end of training. The
same command again goes on where the run stopped.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from tracker.errors import exit_on_user_error
from tracker.hydra_entry import compose, instantiate, open_run

if TYPE_CHECKING:
    from tracker.checkpoints import RunFolder
    from tracker.data.clips import ClipSource
    from tracker.training_loop import TrainingLoop


@exit_on_user_error
def main() -> int:
    """Pretrain; return the exit code."""
    config = compose("pretrain_backbone", sys.argv[1:], __doc__)
    loop, clips = build(config, open_run(config))
    if loop.is_main:
        encoder = sum(p.numel() for p in loop.task.model.target.parameters())
        print(f"encoder of {encoder / 1e6:.2f} M parameters; run in {loop.run.path}")
    best = loop.train()
    if loop.is_main:
        report(loop, best, getattr(clips, "skipped", {}))
    return 0


def build(config: DictConfig, run: RunFolder) -> tuple[TrainingLoop, ClipSource]:
    """Return the training loop that the config describes, and the source of its clips.

    Raises:
        UserError: settings do not fit each other, or data or checkpoint cannot be read.
    """
    import torch
    from accelerate import Accelerator

    from tracker.devices import check_rendering
    from tracker.jepa.architecture import open_model
    from tracker.jepa.batches import JepaBatches
    from tracker.jepa.model import JepaModel
    from tracker.jepa.task import JepaTask
    from tracker.pixels import image_size
    from tracker.training_loop import TrainingLoop

    training = instantiate(config.training)
    check_rendering(OmegaConf.to_container(config.data), training.workers)
    torch.manual_seed(training.seed)
    accelerator = Accelerator(mixed_precision=training.precision)
    size, frames = image_size("data.size", config.data.size), config.data.frames
    architecture = OmegaConf.to_container(config.architecture)
    online = open_model(architecture, config.init_from, size, frames)
    clips = instantiate(config.data)
    kinds = list(instantiate(config.masks).values())
    source = JepaBatches(clips, kinds, online.config.patch_size, online.config.tubelet_size)
    depth = online.config.num_hidden_layers
    layers = sorted({max(1, depth * quarter // 4) for quarter in (1, 2, 3, 4)})
    model = JepaModel(online, instantiate(config.jepa)).to(accelerator.device)
    task = JepaTask(
        model, instantiate(config.validation), (frames, size), layers, config.save_dtype
    )
    return TrainingLoop(task, source, training, run, accelerator), clips


def report(loop: TrainingLoop, best: float, unopened: dict[str, str]) -> None:
    """Print the outcome, and what could not be read."""
    task = loop.task
    print(f"best frozen matching of points that moved (moved_layers): {100 * best:.1f} %")
    for name, value in task.baselines.items():
        print(f"  {name}: {100 * value:.1f} %")
    if task.baselines:
        verdict = "beats" if best > task.baselines["random_moved_layers"] else "does NOT beat"
        print(f"the trained backbone {verdict} random weights")
    print(f"backbone written: {loop.run.best}")
    if unopened:
        print(f"skipped {len(unopened)} videos that could not be opened:")
        for path, reason in unopened.items():
            print(f"  {path}: {reason}")
    if task.unreadable:
        print(f"skipped {task.unreadable.total()} clips that could not be read:")
        for reason, count in task.unreadable.most_common():
            print(f"  {count} x {reason}")


if __name__ == "__main__":
    sys.exit(main())
