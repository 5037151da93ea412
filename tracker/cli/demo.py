"""`vjepa-tracker demo`: a clip with known truth, tracked, scored and drawn."""

from __future__ import annotations

import argparse
import time

from tracker.cli.track import progress_bar, write_outputs
from tracker.files import prepare_output_dir
from tracker.registry import make_tracker


def run_demo(args: argparse.Namespace) -> None:
    from tracker.evaluation.demo import demo_sample, describe_accuracy, track_demo

    tracker = make_tracker(args.tracker, device=args.device)
    out = prepare_output_dir(args.out)
    sample = demo_sample()
    started = time.perf_counter()
    with progress_bar("tracking") as progress:
        tracks, truth, metrics = track_demo(sample, tracker, progress)
    seconds = time.perf_counter() - started
    print(
        f"tracked {len(tracks)} points through {tracks.num_frames} frames "
        f"in {seconds:.1f} s with {args.tracker}"
    )
    print(describe_accuracy(metrics))
    write_outputs(out, sample.video, tracks, truth)
