"""The folder of a tracker: config, head, template, backbone."""

from __future__ import annotations

import filecmp
import json
import shutil
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from tracker.errors import UserError
from tracker.features.checkpoints import ASSETS
from tracker.features.template import PositionalTemplate
from tracker.tracking.config import TrackerConfig, replace_settings
from tracker.tracking.model import TrackingModel

Model = TypeVar("Model", bound=TrackingModel)

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TEMPLATE = "template.safetensors"
BACKBONE = "backbone"


def find_folder(name: str, hub: dict[str, Any]) -> Path:
    """Return the folder of a tracker, downloading it where the name is a hub id."""
    if (ASSETS / name / CONFIG).is_file():
        return ASSETS / name
    if Path(name).is_dir():
        return Path(name)
    shipped = ", ".join(p.parent.name for p in ASSETS.glob(f"*/{CONFIG}")) or "none"
    if name.count("/") != 1 or Path(name).parent.is_dir():
        raise UserError(f"no tracker {name!r}: neither shipped ({shipped}) nor a folder here")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(name, **hub))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"no tracker {name!r}: neither shipped ({shipped}), nor a folder, nor a hub id that "
            f"could be fetched ({reason})"
        ) from error


def copy_backbone(source: Path, target: Path) -> None:
    """Copy a checkpoint's config and weights, unless they are there already."""
    target.mkdir(exist_ok=True)
    for pattern in ("config.json", "*.safetensors", "*.safetensors.index.json"):
        for file in source.glob(pattern):
            copy = target / file.name
            # A run saves its tracker often, and a large backbone never changes.
            if not (copy.exists() and filecmp.cmp(file, copy)):
                shutil.copy2(file, copy)


def load_folder(
    kind: type[Model], folder: Path, changes: dict[str, Any], template: str | Path | None = None
) -> Model:
    """Load what `save_pretrained` wrote, with some of its settings or its template replaced.

    Raises:
        UserError: a file is missing or damaged, or the weights do not fit the config.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"tracker {folder} has no {name}; copy or save it again")
    try:
        content = json.loads((folder / CONFIG).read_text())
    except ValueError as error:
        raise UserError(
            f"{folder / CONFIG} is not JSON ({error}); save the tracker again"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("backbone"), dict):
        raise UserError(f"{folder / CONFIG} is not a tracker's config; save the tracker again")
    if content["backbone"].get("source") == BACKBONE:
        content["backbone"]["source"] = str((folder / BACKBONE).resolve())
    config = TrackerConfig.from_dict(replace_settings(content, changes))
    if template is None and (folder / TEMPLATE).exists():
        template = folder / TEMPLATE
    tracker = kind(config, PositionalTemplate.load(template) if template else None)
    try:
        state = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{folder / WEIGHTS} is damaged ({error}); copy or save it again"
        ) from error
    load_head(tracker, state, str(folder / WEIGHTS), str(folder / CONFIG))
    return tracker.eval()


def load_head(tracker: TrackingModel, state: dict[str, Tensor], weights: str, config: str) -> None:
    """Load head weights, or say that they belong to another config.

    Raises:
        UserError: names both files and the first weight that differs.
    """
    wanted = {k: tuple(v.shape) for k, v in tracker.head.state_dict().items()}
    given = {k: tuple(v.shape) for k, v in state.items()}
    different = sorted(k for k in wanted.keys() | given.keys() if wanted.get(k) != given.get(k))
    if different:
        key = different[0]
        raise UserError(
            f"weights {weights} do not fit config {config}: {key} is "
            f"{given.get(key, 'missing')} there but {wanted.get(key, 'absent')} here, and "
            f"{len(different) - 1} more differ; use the config and version they were trained with"
        )
    tracker.head.load_state_dict({k: v.float() for k, v in state.items()})
