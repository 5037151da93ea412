"""Score trackers on a TAP-Vid benchmark.

  vjepa-tracker evaluate benchmark.path=tapvid_davis.pkl query_mode=first 'trackers=[static,lk]'
  vjepa-tracker evaluate benchmark=procedural 'trackers=[lk]' overlays=2
  vjepa-tracker evaluate benchmark=procedural 'trackers=[vjepa]' changes.inference.iterations=6

Exit code 0: all videos scored; 1: some videos failed and are listed; 2: nothing could be done,
with one line saying why.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from omegaconf import OmegaConf

from tracker.errors import UserError, exit_on_user_error
from tracker.settings import compose, instantiate, plain


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate as the overrides in `argv` say; return the exit code."""
    config = compose("evaluate", sys.argv[1:] if argv is None else argv, __doc__)
    from tracker.devices import check_device, set_threads
    from tracker.evaluation.overlays import write_best_and_worst
    from tracker.evaluation.report import format_table
    from tracker.evaluation.run import EvaluationSettings, evaluate
    from tracker.progress import Bar

    listed = OmegaConf.is_list(config.trackers)
    names = [str(name) for name in (config.trackers if listed else [config.trackers])]
    if not isinstance(config.overlays, int) or config.overlays < 0:
        raise UserError(f"overlays={config.overlays} must be a number of videos, 0 or more")
    set_threads(config.threads)
    check_device(config.device)  # also where no tracker, such as lk, needs one
    benchmark = instantiate(config.benchmark)
    settings = EvaluationSettings(
        query_mode=config.query_mode,
        input_size=config.input_size,
        limit=config.limit,
        keep_tracks=config.overlays > 0,
        changes=plain(config.changes),
        device=config.device,
    )
    label = f"{benchmark.name} {settings.query_mode}"
    # The delay keeps the bar from hiding an error that comes at once.
    with Bar(desc=label, unit=" videos", leave=False, delay=0.5) as bar:

        def on_video(name: str) -> None:
            bar.set_postfix_str(name, refresh=False)
            bar.update()

        report = evaluate(benchmark, names, settings, str(config.output_dir), on_video)
    print(format_table(report))
    print(f"written: {report.path}, {report.path.with_suffix('.csv')}")
    if config.overlays > 0:
        for path in write_best_and_worst(benchmark, report, config.overlays):
            print(f"written: {path}")
    return 1 if report.failed else 0
