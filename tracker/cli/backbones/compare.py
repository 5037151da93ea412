"""Compare frozen encoders: is V-JEPA 2 better for following points than encoders of pictures?

  vjepa-tracker compare benchmark.path=tapvid_davis.pkl
  vjepa-tracker compare backbones=[mini,facebook/dinov2-base] benchmark=procedural_8 steps=300

For each encoder: what nearest neighbours of its features find, how much of them is position, and
their principal components, all after a template fitted on the same clips. With steps=N a head is
trained on each, with equal steps and settings, and scored on the benchmark. report.html shows it
in one page. train= takes settings of that training, such as
'train=["data.frames=8","data.size=[128,128]"]'.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.errors import UserError, exit_on_user_error
from tracker.settings import compose, instantiate, plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from tracker.analysis.report import Table
    from tracker.pretraining.frozen.comparison import Encoder

SCORES = ("average_jaccard", "average_pts_within_thresh", "occlusion_accuracy")
"""Of a trained head, as `metrics.json` calls them."""

SUMMARY = (
    "Each encoder's features are taken as they are, less a positional template fitted on the same "
    "rendered clips. Heads, where they were trained, had equal steps and settings."
)


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Compare as the overrides in `argv` say; return the exit code."""
    config = compose("compare", sys.argv[1:] if argv is None else argv, __doc__)
    from tracker.analysis.report import Report
    from tracker.devices import check_device, set_threads
    from tracker.files import prepare_output_dir
    from tracker.pretraining.frozen import comparison, comparison_figures
    from tracker.pretraining.frozen.videos import read_videos

    for name, least in (("template_clips", 2), ("frames", 2), ("steps", 0)):
        if not isinstance(config[name], int) or config[name] < least:
            raise UserError(f"{name}={config[name]} must be a number, {least} or more")
    set_threads(config.threads)
    device = str(check_device(config.device))
    folder = prepare_output_dir(str(config.output_dir))
    whole = read_videos(instantiate(config.benchmark), config.limit)
    comparison.check_videos(whole)
    videos = [comparison.first_frames(video, config.frames) for video in whole]
    encoders = comparison.open_encoders(
        [str(name) for name in config.backbones],
        tuple(config.input_size),
        config.window,
        config.template_clips,
        config.textures,
        device,
    )
    tables = [
        comparison.matching_table(encoders, videos, device),
        comparison.position_table(encoders),
    ]
    figures = [
        comparison_figures.match_figure(encoders, videos[0], device),
        comparison_figures.component_figure(encoders, videos[0], device),
    ]
    if config.steps:
        tables.append(_train_heads(config, encoders, folder))
    facts = {k: v for k, v in plain(config).items() if k not in ("threads", "output_dir")}
    numbers: dict[str, object] = {
        table.title: {
            str(name): dict(zip(table.columns[1:], values, strict=True))
            for name, *values in table.rows
        }
        for table in tables
    }
    report = Report(
        "comparison", "Frozen encoders compared", SUMMARY, facts, numbers, tables, figures
    )
    print(report.text())
    for path in report.write(folder):
        print(f"written: {path}")
    return 0


def _train_heads(config: DictConfig, encoders: Sequence[Encoder], folder: Path) -> Table:
    """Train a head on each encoder and score it on the benchmark; heads lie in `heads/`."""
    from tracker.analysis.report import Table
    from tracker.evaluation.run import EvaluationSettings, evaluate
    from tracker.files import prepare_output_dir
    from tracker.training.build import build_training, open_run

    heads = prepare_output_dir(folder / "heads")
    trained = {}
    for one in encoders:
        name = re.sub(r"[^\w.-]+", "_", one.name)
        template = heads / f"{name}.safetensors"
        one.template.save(template)
        settings = one.backbone.config
        run = compose(
            "train_tracker",
            [
                f"backbone.source='{one.name}'",
                f"backbone.layers={list(settings.layers)}",
                f"backbone.input_size={list(settings.input_size)}",
                f"backbone.window={settings.window}",
                f"backbone.frame_mode={settings.frame_mode}",
                f"template='{template}'",
                f"training.max_steps={config.steps}",
                f"run_dir='{heads / name}'",
                *map(str, config.train),
            ],
            None,
        )
        loop = build_training(run, open_run(run))
        loop.train()
        trained[one.name] = f"vjepa@{loop.run.last}"
    scored = evaluate(
        instantiate(config.benchmark),
        list(trained.values()),
        EvaluationSettings(limit=config.limit, device=config.device),
        heads / "scores",
    )
    rows = [
        (name, *(round(100 * scored.trackers[tracker]["mean"][score], 1) for score in SCORES))
        for name, tracker in trained.items()
    ]
    title = f"A head trained on each for {config.steps} steps, % on {config.benchmark.name}"
    return Table(title, ["encoder", "AJ", "< delta avg", "OA"], rows)
