r"""Turn a checkpoint of Meta's into a folder of safetensors.

  vjepa-tracker convert-backbone vjepa2_1_vitl_dist_vitG_384.pt vjepa21_vitl
  vjepa-tracker convert-backbone vitl.pt vitl

The folder leaves out what only training needs, and has the same features to the bit:
backbone.source=OUT. That of a V-JEPA 2.0 is one of transformers' own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tracker.errors import UserError, exit_on_user_error
from tracker.files import prepare_output_dir


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker convert-backbone",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", metavar="FILE.pt", help="of V-JEPA 2.0 or 2.1, as Meta publishes it"
    )
    parser.add_argument("out", metavar="OUT", help="folder to write")
    return parser


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Convert the file that `argv` names; return the exit code."""
    args = build_parser().parse_args(argv)
    from tracker.features.checkpoints import write_checkpoint
    from tracker.features.meta_checkpoints import SUFFIXES, is_meta_file, load_meta_model
    from tracker.features.sources import frame_modes, usual_layers

    if not is_meta_file(args.file):
        raise UserError(f"{args.file} is no file that ends in {' or '.join(SUFFIXES)}")
    if (Path(args.out) / "config.json").exists():
        raise UserError(f"{args.out} holds a checkpoint already; name another folder")
    model = load_meta_model(args.file)
    write_checkpoint(model, prepare_output_dir(args.out))
    config = model.config
    print(
        f"written: {args.out}, a {config.model_type} of {config.num_hidden_layers} layers and "
        f"{config.hidden_size} channels"
    )
    layers = ", ".join(map(str, usual_layers(config)))
    print(
        f"use it with: backbone.source={args.out} backbone.layers=[{layers}] "
        f"backbone.frame_mode={'|'.join(frame_modes(config))}"
    )
    return 0
