"""Reading V-JEPA checkpoints in transformers' format: a hub id, a folder, the model that ships.

V-JEPA 2.0 and 2.1 are read here; `sources.py` knows the other kinds of sources.
"""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from tracker.errors import UserError
from tracker.features.images.efficientnet import EFFICIENTNET
from tracker.features.images.pixels import PIXELS
from tracker.files import atomic_path, save_tensors

if TYPE_CHECKING:
    from transformers import PreTrainedModel, VJEPA2Config, VJEPA2Model

    from tracker.features.images.encoders import ImageArchitecture
    from tracker.features.vjepa21 import VJepa21Config, VJepa21Model

Model = TypeVar("Model", bound="PreTrainedModel")

ASSETS = Path(__file__).parents[1] / "assets"

MINI = "mini"

MINI_FOLDER = ASSETS / "backbones" / "mini"
"""Where the backbone `mini` lies, with its template. The tracker `mini` names its backbone by its
own folder, and keeps an older one there that its head was trained with."""

RANDOM_MINI = "mini-random"
"""The shipped model's architecture with random weights of a fixed seed, for comparison."""

NAMED_BACKBONES = (MINI, RANDOM_MINI, EFFICIENTNET, PIXELS)
"""Sources that a folder of the same name does not hide."""

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
    return source in NAMED_BACKBONES or not Path(source).exists()


def copy_checkpoint(source: Path, target: Path) -> None:
    """Copy a checkpoint's configs and weights, unless they are there already."""
    target.mkdir(parents=True, exist_ok=True)
    patterns = (
        "config.json",
        "preprocessor_config.json",  # says how image encoders want pixels
        "*.safetensors",
        "*.safetensors.index.json",
    )
    for pattern in patterns:
        for file in source.glob(pattern):
            copy = target / file.name
            # A run saves its tracker often, and a large backbone never changes.
            if not (copy.exists() and filecmp.cmp(file, copy)):
                shutil.copy2(file, copy)


def write_checkpoint(model: PreTrainedModel, folder: Path) -> None:
    """Write `config.json` and `model.safetensors` as transformers reads them.

    Raises:
        UserError: the operating system refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    save_tensors(weights, folder / "model.safetensors", {"format": "pt"})
    with atomic_path(folder / "config.json") as partial:
        model.config.to_json_file(str(partial))


def patch_side(config: VJEPA2Config | ImageArchitecture) -> int:
    """Return the side of a patch in pixels.

    Raises:
        UserError: patches are not square.
    """
    if not isinstance(config.patch_size, int):
        raise UserError(f"patches of {config.patch_size} pixels: V-JEPA 2 has square ones")
    return config.patch_size


def read_config(source: str) -> dict[str, Any]:
    """Read what the `config.json` of a folder or hub id says.

    Raises:
        UserError: not there, or not readable; the message says what to do.
    """
    from transformers import PretrainedConfig

    path = checkpoint_path(source)
    _check_folder(path, source)
    try:
        content, _ = PretrainedConfig.get_config_dict(path)
    except (OSError, ValueError) as error:
        raise UserError(cannot_load(source, error)) from error
    if not isinstance(content, dict) or not content:
        raise UserError(cannot_load(source, ValueError("its config.json is empty")))
    return content


def load_config(source: str) -> VJEPA2Config:
    """Read the config of a V-JEPA 2.0.

    Raises:
        UserError: as `read_config`; or it is another kind of model.
    """
    from transformers import VJEPA2Config

    if source == RANDOM_MINI:
        return VJEPA2Config(**MINI_ARCHITECTURE)
    content = read_config(source)
    kind = content.get("model_type", "vjepa2")
    if kind != "vjepa2":
        raise UserError(f"{checkpoint_path(source)} is a {kind} checkpoint, not vjepa2")
    _check_rotary_fields(content, source, {"use_rope": True})
    return _build_config(VJEPA2Config, content, source)


def load_vjepa21_config(source: str) -> VJepa21Config:
    """Read the config of a V-JEPA 2.1.

    Raises:
        UserError: as `read_config`; or it asks for what is not implemented.
    """
    from tracker.features.vjepa21 import ROPE_GRID, VJepa21Config

    content = read_config(source)
    _check_rotary_fields(content, source, {"rope_interleaved": True, "rope_grid": ROPE_GRID})
    config = _build_config(VJepa21Config, content, source)
    layers = config.hierarchical_layers
    if list(layers) != sorted(layers) or not layers or layers[-1] != config.num_hidden_layers - 1:
        raise UserError(
            f"{source}: hierarchical_layers {list(layers)} must ascend to the last of "
            f"{config.num_hidden_layers} layers, counted from 0; convert the checkpoint again"
        )
    return config


def _check_rotary_fields(content: dict[str, Any], source: str, known: dict[str, Any]) -> None:
    """Fail where a config asks for rotary positions of another kind than its family's."""
    for key, value in content.items():
        if ("rope" in key or "rotary" in key) and known.get(key, value is None) != value:
            raise UserError(
                f"{source}: config.json has {key}={value}, a rotary embedding that is not "
                f"implemented for {content.get('model_type')}; use a checkpoint without it"
            )


def _build_config(kind: Any, content: dict[str, Any], source: str) -> Any:
    try:
        return kind.from_dict(content)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(cannot_load(source, error)) from error


def load_model(source: str) -> VJEPA2Model:
    """Load a V-JEPA 2.0 in float32.

    Raises:
        UserError: as `load_config`; or weights are missing from the file.
    """
    from transformers import VJEPA2Model

    if source == RANDOM_MINI:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return VJEPA2Model(load_config(source))
    model, _ = _load_weights(VJEPA2Model, source)
    return model


def load_vjepa21(source: str) -> VJepa21Model:
    """Load a V-JEPA 2.1 in float32.

    Raises:
        UserError: as `load_vjepa21_config`; or the file's weights are not those of the model.
    """
    from tracker.features.vjepa21 import VJepa21Model

    load_vjepa21_config(source)
    model, report = _load_weights(VJepa21Model, source)
    unknown = sorted(report["unexpected_keys"])
    if unknown:
        raise UserError(
            f"{source} holds {len(unknown)} weights that V-JEPA 2.1 does not have "
            f"({unknown[0]} ...); convert the checkpoint again"
        )
    return model


def _load_weights(kind: type[Model], source: str) -> tuple[Model, dict[str, Any]]:
    """Return a model and transformers' report; the encoder's weights are all there."""
    from safetensors import SafetensorError
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # our commands show their own
    path = checkpoint_path(source)
    _check_folder(path, source)
    model: Model
    report: dict[str, Any]
    try:
        # Its annotation does not tell that it returns a pair when asked for the loading info.
        model, report = kind.from_pretrained(  # type: ignore[misc]
            path, dtype=torch.float32, output_loading_info=True, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(cannot_load(source, error)) from error
    missing = sorted(k for k in report["missing_keys"] if k.startswith("encoder."))
    if missing:
        raise UserError(
            f"{path} lacks {len(missing)} weights of the encoder ({missing[0]} ...); "
            "it is damaged or another model; download or save it again"
        )
    return model, report


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
            f"backbone {source!r} cannot be loaded: no {folder / 'config.json'}; name a folder "
            "with config.json and model.safetensors, a hub id, a .pt file of Meta's, or mini"
        )


def cannot_load(source: str, error: Exception) -> str:
    """Say in one line why a folder or hub id cannot be loaded, and what to do."""
    path, reason = checkpoint_path(source), " ".join(str(error).split())[:200]
    if Path(path).is_dir():
        return f"backbone {source!r}: {path} cannot be loaded ({reason}); copy or save it again"
    return (
        f"backbone {source!r} is neither a folder nor a hub id that could be fetched ({reason}); "
        "check the name and the network, or name a folder with config.json and model.safetensors"
    )
