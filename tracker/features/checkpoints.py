"""Reading V-JEPA 2 checkpoints: a hub id, a folder, or the model inside this package."""

from __future__ import annotations

import filecmp
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tracker.errors import UserError
from tracker.files import atomic_path, save_tensors

if TYPE_CHECKING:
    from transformers import VJEPA2Config, VJEPA2Model


ASSETS = Path(__file__).parents[1] / "assets"

MINI = "mini"

MINI_FOLDER = ASSETS / "backbones" / "mini"
"""Where the backbone `mini` lies, with its template. The tracker `mini` names its backbone by its
own folder, and keeps an older one there that its head was trained with."""

RANDOM_MINI = "mini-random"
"""The shipped model's architecture with random weights of a fixed seed, for comparison."""

SHIPPED_BACKBONES = (MINI, RANDOM_MINI)

MINI_ARCHITECTURE: dict[str, Any] = {
    "hidden_size": 256,
    "num_hidden_layers": 8,
    "num_attention_heads": 4,
    "crop_size": 256,
    "frames_per_clip": 16,
    "pred_hidden_size": 128,
    "pred_num_hidden_layers": 4,
    "pred_num_attention_heads": 4,
}


def checkpoint_path(source: str) -> str:
    """Return the folder or hub id of a source; `mini` is the model inside this package."""
    return str(MINI_FOLDER) if source == MINI else source


def is_name(source: str) -> bool:
    """Whether a source is a name that means the same everywhere: shipped, or an id of the hub."""
    return source in SHIPPED_BACKBONES or not Path(source).is_dir()


def copy_checkpoint(source: Path, target: Path) -> None:
    """Copy a checkpoint's config and weights, unless they are there already."""
    target.mkdir(parents=True, exist_ok=True)
    for pattern in ("config.json", "*.safetensors", "*.safetensors.index.json"):
        for file in source.glob(pattern):
            copy = target / file.name
            # A run saves its tracker often, and a large backbone never changes.
            if not (copy.exists() and filecmp.cmp(file, copy)):
                shutil.copy2(file, copy)


def write_checkpoint(model: VJEPA2Model, folder: Path) -> None:
    """Write `config.json` and `model.safetensors` as transformers reads them.

    Raises:
        UserError: the operating system refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    save_tensors(weights, folder / "model.safetensors", {"format": "pt"})
    with atomic_path(folder / "config.json") as partial:
        model.config.to_json_file(str(partial))


def patch_side(config: VJEPA2Config) -> int:
    """Return the side of a patch in pixels.

    Raises:
        UserError: patches are not square.
    """
    if not isinstance(config.patch_size, int):
        raise UserError(f"patches of {config.patch_size} pixels: V-JEPA 2 has square ones")
    return config.patch_size


def load_config(source: str) -> VJEPA2Config:
    """Read a checkpoint's config.

    Raises:
        UserError: not there, not readable, or not V-JEPA 2; the message says what to do.
    """
    from transformers import VJEPA2Config

    if source == RANDOM_MINI:
        return VJEPA2Config(**MINI_ARCHITECTURE)
    path = checkpoint_path(source)
    _check_folder(path, source)
    try:
        config = VJEPA2Config.from_pretrained(path)
        kind = json.loads(Path(path, "config.json").read_text()) if Path(path).is_dir() else {}
    except (OSError, ValueError) as error:
        raise UserError(_cannot_load(source, path, error)) from error
    if kind.get("model_type", "vjepa2") != "vjepa2":
        raise UserError(f"{path} is a {kind['model_type']} checkpoint, not vjepa2")
    return config


def load_model(source: str) -> VJEPA2Model:
    """Load a checkpoint's encoder in float32.

    Raises:
        UserError: as `load_config`; or weights are missing from the file.
    """
    from safetensors import SafetensorError
    from transformers import VJEPA2Model
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # our commands show their own

    if source == RANDOM_MINI:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return VJEPA2Model(load_config(source))
    path = checkpoint_path(source)
    _check_folder(path, source)
    model: VJEPA2Model
    report: dict[str, Any]
    try:
        # Its annotation does not tell that it returns a pair when asked for the loading info.
        model, report = VJEPA2Model.from_pretrained(  # type: ignore[misc]
            path, dtype=torch.float32, output_loading_info=True, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(_cannot_load(source, path, error)) from error
    missing = sorted(k for k in report["missing_keys"] if k.startswith("encoder."))
    if missing:
        raise UserError(
            f"{path} lacks {len(missing)} weights of the encoder ({missing[0]} ...); "
            "it is damaged or another model; download or save it again"
        )
    return model


def _check_folder(path: str, source: str) -> None:
    folder = Path(path)
    if source == MINI and not (folder / "config.json").is_file():
        raise UserError(
            f"backbone 'mini' lacks {folder / 'config.json'}; install the package again, or use "
            f"{RANDOM_MINI} (the same architecture, random weights), a folder or a hub id"
        )
    # Hub ids are owner/name: anything else would be asked of the network for nothing.
    looks_like_path = folder.is_absolute() or path.startswith(".") or path.count("/") != 1
    if looks_like_path and not (folder / "config.json").is_file():
        raise UserError(
            f"backbone {source!r}: no {folder / 'config.json'}; name a folder that holds "
            "config.json and model.safetensors, a hub id, or mini"
        )


def _cannot_load(source: str, path: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    if Path(path).is_dir():
        return f"backbone {source!r}: {path} cannot be loaded ({reason}); copy or save it again"
    return (
        f"backbone {source!r} is neither a folder nor a hub id that could be fetched ({reason}); "
        "check the name and the network, or name a folder with config.json and model.safetensors"
    )
