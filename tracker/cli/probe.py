r"""What frozen features know about motion: attentive probe against average pooling.

  vjepa-tracker probe --backbone mini --clips 600 --test-clips 200
  vjepa-tracker probe --backbone facebook/vjepa2-vitl-fpc64-256 --videos my_classes/

Without --videos, clips of a motion task are rendered, with four questions: direction, rotation,
change of scale, number of objects. With it, each subfolder is a class. The backbone is frozen; both
poolings are trained alike and tested on other clips.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from tracker.errors import UserError, exit_on_user_error, log
from tracker.files import results_file


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker probe",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--backbone", default="mini", help="mini, mini-random, hub id or folder")
    parser.add_argument("--size", type=int, nargs=2, default=[128, 128], metavar=("H", "W"))
    parser.add_argument("--frames", type=int, default=8, metavar="T", help="of a clip; even")
    parser.add_argument("--videos", metavar="DIR", help="a folder with a subfolder per class")
    parser.add_argument("--test-share", type=float, default=0.25, help="of each class's videos")
    parser.add_argument("--clips", type=int, default=600, help="rendered clips to learn from")
    parser.add_argument("--test-clips", type=int, default=200, help="rendered clips to test on")
    parser.add_argument("--epochs", type=int, default=30, help="passes; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="cpu, cuda, or auto (default)")
    parser.add_argument("--out", metavar="FILE", help="a .json file for the table")
    return parser


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Compare poolings as the options in `argv` say; return the exit code."""
    args = build_parser().parse_args(argv)
    if min(args.clips, args.test_clips, args.epochs) < 1 or not 0 < args.test_share < 1:
        raise UserError("--clips, --test-clips and --epochs start at 1; --test-share is in 0..1")
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: give 0 or more")
    with results_file(args.out) if args.out else nullcontext():
        compare(args)
    return 0


def compare(args: argparse.Namespace) -> None:
    """Encode clips, train and test both probes, print and write the table.

    Raises:
        UserError: what is named is missing, or cannot be read.
    """
    from tracker.datasets.rendered import HELD_OUT_SEED
    from tracker.devices import check_device
    from tracker.features.backbone import BackboneConfig, FrozenBackbone
    from tracker.features.sources import frame_modes, load_architecture
    from tracker.pretraining.probe import probe
    from tracker.pretraining.probe.motion_task import CLASSES

    device = check_device(args.device)
    architecture = load_architecture(args.backbone)
    last, mode = (architecture.num_hidden_layers,), frame_modes(architecture)[0]
    backbone = FrozenBackbone(
        BackboneConfig(args.backbone, last, tuple(args.size), args.frames, mode)
    )
    skipped: dict[str, str] = {}
    classes: Mapping[str, Sequence[str]] = CLASSES
    if args.videos:
        train, test, classes, skipped = probe.video_features(
            backbone, args.videos, args.test_share, args.seed, device
        )
    else:
        train = probe.motion_features(backbone, args.seed, args.clips, device)
        test = probe.motion_features(backbone, HELD_OUT_SEED, args.test_clips, device)
    config = probe.ProbeConfig(epochs=args.epochs, seed=args.seed)
    heads = architecture.num_attention_heads
    results = probe.probe_table(train, test, classes, heads, config, device)
    print(
        f"{args.backbone}: {len(train.tokens)} clips to learn from, {len(test.tokens)} to test on; "
        "accuracy in %"
    )
    print(probe.format_table(results))
    for path, reason in skipped.items():
        log.warning("skipped %s: %s", path, reason)
    if args.out:
        probe.write_results(Path(args.out), args.backbone, results)
        print(f"written: {args.out}")
