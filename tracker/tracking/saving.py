"""The folder of a tracker: config, head, template, backbone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from tracker.errors import UserError
from tracker.features.backbone import FrozenBackbone
from tracker.features.checkpoints import ASSETS
from tracker.features.template import PositionalTemplate
from tracker.files import atomic_path, prepare_output_dir, save_tensors
from tracker.tracking.config import TrackerConfig, replace_settings
from tracker.tracking.identity import (
    KEY,
    Fingerprints,
    check_backbone,
    check_template,
    read_config,
)
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


def save_folder(tracker: TrackingModel, folder: Path) -> None:
    """Write config, head, template, and the backbone unless a name is enough to find it.

    Raises:
        UserError: the folder cannot be written.
    """
    prepare_output_dir(folder)
    content = tracker.config.to_dict()
    if tracker.backbone is not None and not tracker.backbone.has_name:
        content["backbone"]["source"] = BACKBONE
        tracker.backbone.save(folder / BACKBONE)
    content[KEY] = Fingerprints.of(tracker).to_dict()
    with atomic_path(folder / CONFIG) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")
    if tracker.template is not None:
        tracker.template.save(folder / TEMPLATE)
    else:
        (folder / TEMPLATE).unlink(missing_ok=True)
    state = {k: v.detach().half().contiguous().cpu() for k, v in tracker.head.state_dict().items()}
    save_tensors(state, folder / WEIGHTS)


def load_folder(
    kind: type[Model], folder: Path, changes: dict[str, Any], template: str | Path | None = None
) -> Model:
    """Load what `save_folder` wrote, with some of its settings or its template replaced.

    Backbone and template are compared with the fingerprints in the config, unless they are what is
    replaced.

    Args:
        kind: class of the tracker.
        folder: what to load.
        changes: settings of its `TrackerConfig` to replace, nested as there.
        template: a file to use instead of the folder's own.

    Raises:
        UserError: a file is missing, damaged or another tracker's, or the weights do not fit the
            config.
    """
    content = read_config(folder)
    recorded = Fingerprints.read(content, folder / CONFIG)
    content.pop(KEY, None)
    state = load_weights(folder)
    if content["backbone"].get("source") == BACKBONE:
        content["backbone"]["source"] = str((folder / BACKBONE).resolve())
    config = TrackerConfig.from_dict(replace_settings(content, changes))
    backbone = chosen = None
    if config.head.use_vjepa:
        backbone = FrozenBackbone(config.backbone)
        if recorded is not None and "source" not in changes.get("backbone", {}):
            check_backbone(
                recorded.backbone, backbone.fingerprint(), config.backbone.source, folder
            )
        own = folder / TEMPLATE
        if template is not None:
            chosen = PositionalTemplate.load(template)
        elif own.exists():
            chosen = PositionalTemplate.load(own)
        if recorded is not None and template is None:
            check_template(recorded.template, chosen, own)
    tracker = kind(config, chosen, backbone)
    load_head(tracker, state, str(folder / WEIGHTS), str(folder / CONFIG))
    return tracker.eval()


def load_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a saved tracker's head.

    Raises:
        UserError: they are missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = folder / WEIGHTS
    if not file.is_file():
        raise UserError(f"tracker {folder} has no {WEIGHTS}; copy or save it again")
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} is damaged ({error}); copy or save it again") from error


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
