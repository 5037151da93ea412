"""Write a trained tracker with other settings, such as the size of the frames it will see.

    python -m data_prep.export_tracker runs/mini_refine/best --out my_tracker \\
        --template template_256.safetensors --changes 'backbone.input_size=[256,256]' \\
        'fine_size=[384,384]' inference.iterations=2

A head is trained on small frames because they are quick, and tracks better on larger ones. The
template belongs to one input size, so a new size needs a new one (data_prep.fit_template).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tracker.errors import UserError, exit_on_user_error
from tracker.files import prepare_output_dir


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Write the tracker that the options in `argv` describe; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tracker", metavar="TRACKER", help="mini, a folder or a hub id")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--template", metavar="FILE", help="instead of the tracker's own")
    parser.add_argument(
        "--changes", nargs="+", default=[], metavar="KEY=VALUE", help="settings to replace"
    )
    args = parser.parse_args(argv)
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from tracker.tracking.tracker import PointTracker

    try:
        changes = OmegaConf.to_container(OmegaConf.from_dotlist(args.changes))
    except (OmegaConfBaseException, ValueError) as error:
        raise UserError(f"--changes {' '.join(args.changes)}: {error}") from error
    tracker = PointTracker.from_pretrained(args.tracker, changes, args.template)
    tracker.save_pretrained(prepare_output_dir(args.out))
    print(f"written: {args.out}")
    return 0
