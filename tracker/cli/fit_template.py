r"""Fit a positional template for a backbone.

  vjepa-tracker fit-template --out template.safetensors --clips 2000
  vjepa-tracker fit-template --backbone facebook/vjepa2-vitl-fpc64-256 \
      --layers 6 12 18 24 --videos my_videos/ --clips 1000 --out vitl_template.safetensors

Progress is kept beside the output and taken up again when the same command is repeated. Beside the
template, `<out>.png` shows how it converged.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.errors import UserError, exit_on_user_error, log
from tracker.extras import needs
from tracker.files import atomic_path, results_file, save_tensors

if TYPE_CHECKING:
    import torch

    from tracker.datasets.clips import ClipSource
    from tracker.features.backbone import FrozenBackbone
    from tracker.features.template import TemplateReport
    from tracker.features.template_fitter import TemplateFitter

    History = list[tuple[int, TemplateReport]]  # clips so far, and what the template was like

SAVE_EVERY = 100


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="vjepa-tracker fit-template",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="a .safetensors file to write")
    parser.add_argument(
        "--backbone", default="mini", help="mini, mini-random, a hub id, a folder or a .pt file"
    )
    parser.add_argument("--layers", type=int, nargs="+", default=[8], metavar="I")
    parser.add_argument("--size", type=int, nargs=2, default=[256, 256], metavar=("H", "W"))
    parser.add_argument("--window", type=int, default=2, metavar="T")
    parser.add_argument(
        "--frame-mode", default="tubelet", help="tubelet (default), offset, duplicate or image"
    )
    parser.add_argument("--clips", type=int, default=1000, metavar="N")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--videos", metavar="DIR", help="a folder of videos")
    source.add_argument("--tapvid", metavar="FILE", help="a TAP-Vid file or folder")
    source.add_argument("--textures", metavar="DIR", help="photographs for rendered scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="cpu, cuda, or auto (default)")
    return parser


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Fit the template that the options in `argv` describe; return the exit code."""
    args = build_parser().parse_args(argv)
    out = Path(args.out)
    if out.suffix != ".safetensors":
        raise UserError(f"--out {out} must end in .safetensors")
    if args.clips < 2:
        raise UserError(f"--clips {args.clips}: a template needs 2 or more")
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: give 0 or more")
    with needs("analysis"):  # before the hours whose convergence it draws
        import matplotlib

    from tracker.datasets.clips import open_clips
    from tracker.devices import check_device
    from tracker.features.backbone import BackboneConfig, FrozenBackbone

    matplotlib.use("Agg")
    device = check_device(args.device)
    size = tuple(args.size)
    backbone = FrozenBackbone(
        BackboneConfig(args.backbone, tuple(args.layers), size, args.window, args.frame_mode)
    )
    clips_from = {"videos": args.videos, "tapvid": args.tapvid, "textures": args.textures}
    source = open_clips(args.window, size, **clips_from, seed=args.seed, device=device)
    work = [backbone.identity(), backbone.fingerprint(), *clips_from.values(), args.seed]
    with results_file(out):
        unreadable = fit(backbone, source, args.clips, device, out, json.dumps(work))
    for path, reason in getattr(source, "skipped", {}).items():
        log.warning("skipped %s: %s", path, reason)
    for reason, count in Counter(unreadable).most_common():
        log.warning("replaced %d clips that could not be read: %s", count, reason)
    return 0


def fit(
    backbone: FrozenBackbone,
    source: ClipSource,
    clips: int,
    device: torch.device,
    out: Path,
    work: str,
) -> list[str]:
    """Fit a template, write it with its curves, and print how it converged.

    Args:
        backbone: whose template it is.
        source: of the clips.
        clips: how many, those of saved progress included.
        device: where features are computed.
        out: the file to write.
        work: says of saved progress what it is progress of.

    Returns:
        Why clips were replaced by others, a reason for each.

    Raises:
        UserError: saved progress is of other work, or too much cannot be read.
    """
    from tracker.datasets.clips import clip_or_stand_in
    from tracker.features.template_fitter import TemplateFitter
    from tracker.progress import Bar

    fitter = TemplateFitter(backbone)
    progress_file = out.with_suffix(".progress.safetensors")
    history = load_progress(progress_file, work, fitter) if progress_file.exists() else []
    unreadable: list[str] = []
    numbers = range(fitter.clips, clips)
    for index in Bar(numbers, "fitting", clips, unit="clips", initial=fitter.clips):
        clip = clip_or_stand_in(source, index, unreadable)
        fitter.update(clip[None].to(device))
        if fitter.clips >= 2 and (fitter.clips & (fitter.clips - 1)) == 0:
            history.append((fitter.clips, fitter.finish().report))
        if fitter.clips % SAVE_EVERY == 0:
            kept = json.dumps([(seen, vars(report)) for seen, report in history])
            save_tensors(fitter.state_dict(), progress_file, {"work": work, "history": kept})
    template = fitter.finish()
    template.save(out)
    layers, report = backbone.config.layers, template.report
    history.append((fitter.clips, report))
    plot_convergence(out.with_suffix(".png"), layers, history)
    progress_file.unlink(missing_ok=True)
    print(f"written: {out}, {out.with_suffix('.png')}")
    print("layer  split-half cosine  share of variance by position")
    rows = zip(layers, report.split_half_cosine, report.positional_share, strict=True)
    for layer, cosine, share in rows:
        print(f"{layer:5d}  {cosine:17.4f}  {share:29.1%}")
    return unreadable


def load_progress(path: Path, work: str, fitter: TemplateFitter) -> History:
    """Take up saved progress; return the history of its convergence.

    Raises:
        UserError: it is damaged, or of another backbone, seed or source of clips.
    """
    from safetensors import SafetensorError, safe_open

    from tracker.features.template import TemplateReport

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            history = [(n, TemplateReport(**r)) for n, r in json.loads(metadata["history"])]
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it to start over") from error
    if metadata["work"] != work:
        raise UserError(
            f"{path} is the progress of another backbone, seed or source of clips; delete it to "
            "start over, or choose another --out"
        )
    fitter.load_state_dict(state)
    return history


def plot_convergence(path: Path, layers: Sequence[int], history: History) -> None:
    """Draw split-half cosine and positional share against the number of clips."""
    import matplotlib.pyplot as plt

    clips = [count for count, _ in history]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    titles = ("cosine between two half templates", "share of variance by position")
    for axis, field, title in zip(
        axes, ("split_half_cosine", "positional_share"), titles, strict=True
    ):
        for place, layer in enumerate(layers):
            values = [getattr(report, field)[place] for _, report in history]
            axis.plot(clips, values, marker="o", label=f"layer {layer}")
        axis.set(xscale="log", xlabel="clips", ylim=(0, 1.02), title=title)
        axis.grid(alpha=0.3)
    axes[0].legend()
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=120)
    plt.close(figure)
