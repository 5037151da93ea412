"""Reading Meta's own checkpoints, `.pt` files of V-JEPA 2.0 and 2.1.

They hold encoders and a predictor. Here they become the models that transformers' format is read
into: the same weights, to the bit, under other names (`meta_names.py`). Files are read by torch's
`weights_only` loader, which runs no code of theirs, and only the part that is wanted is taken from
the disk.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tracker.errors import UserError, log
from tracker.features.meta_names import (
    RENAMES,
    RENAMES_21,
    Weights,
    check_names,
    count_layers,
    names_of_20,
    names_of_21,
    names_of_predictor,
    rename,
)

if TYPE_CHECKING:
    from transformers import VJEPA2Config, VJEPA2Model

    from tracker.features.vjepa21 import VJepa21Model

SUFFIXES = (".pt", ".pth", ".tar")

ENCODERS = ("ema_encoder", "target_encoder")
"""Where the averaged encoder lies. Distilled ones have it under the first; what such a file holds
under the second would be their teacher."""

HEAD_CHANNELS = 64
HEADS_OF_WIDTH = {1280: 16}
"""The number of heads cannot be told from weights: heads have 64 channels, but those of ViT-H."""

PREDICTOR_HEAD_CHANNELS = 32


def is_meta_file(source: str) -> bool:
    """Whether a source names a file of Meta's rather than a folder or hub id."""
    return Path(source).suffix in SUFFIXES and not Path(source).is_dir()


def load_meta_config(source: str) -> VJEPA2Config:
    """Read from the shapes of its weights what kind of encoder a file holds.

    Raises:
        UserError: no such file, it holds no encoder, or one that is not implemented.
    """
    return _config(_encoder_of(_read(source), source), source)


def load_meta_model(source: str) -> VJEPA2Model | VJepa21Model:
    """Load a file's encoder in float32, of V-JEPA 2.0 with its predictor.

    Raises:
        UserError: as `load_meta_config`; or its weights are not exactly those of the model.
    """
    from transformers import VJEPA2Model

    from tracker.features.vjepa21 import VJepa21Model

    content = _read(source)
    encoder = _encoder_of(content, source)
    config = _config(encoder, source)
    depth = config.num_hidden_layers
    kind: type[VJEPA2Model] | type[VJepa21Model]
    if _is_21(encoder):
        check_names(encoder, names_of_21(depth), source)
        kind, weights = VJepa21Model, rename(encoder, RENAMES_21)
    else:
        _drop_positions(encoder, "pos_embed", source)
        check_names(encoder, names_of_20(depth), source)
        predictor = _predictor_of(content, source)
        _set_predictor(config, predictor, source)
        kind, weights = VJEPA2Model, rename(encoder, RENAMES) | rename(predictor, RENAMES)
    return _fill(kind, config, weights, source)


def _read(source: str) -> dict[str, Any]:
    """Open a file without reading its weights yet: they are mapped into memory."""
    if not Path(source).is_file():
        raise UserError(f"backbone {source!r}: there is no such file; check the path")
    if not zipfile.is_zipfile(source):
        raise UserError(f"{source} is not a checkpoint as torch writes them; download it again")
    try:
        content = torch.load(source, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{source} is damaged, or holds more than weights, which is not read because that "
            "would run its code; download it again"
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{source} is damaged ({reason}); download it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{source} holds a {type(content).__name__}, not a checkpoint of Meta's")
    return content


def _encoder_of(content: dict[str, Any], source: str) -> Weights:
    for key in ENCODERS:
        if key in content:
            return _part(content, key, source)
    held = ", ".join(map(str, list(content)[:6])) or "nothing"
    raise UserError(
        f"{source} holds {held}, but neither {' nor '.join(ENCODERS)}; name a V-JEPA 2 or 2.1 "
        "checkpoint as Meta publishes it"
    )


def _part(content: dict[str, Any], key: str, source: str) -> Weights:
    """Return one network's weights, without the names of what wrapped it in training."""
    part = content[key]
    if not isinstance(part, dict) or not all(isinstance(v, Tensor) for v in part.values()):
        raise UserError(f"{source}: {key} does not hold weights; download it again")
    return {re.sub(r"^(module\.|backbone\.)*", "", name): value for name, value in part.items()}


def _is_21(encoder: Weights) -> bool:
    return any(name.startswith(("norms_block.", "patch_embed_img.")) for name in encoder)


def _config(encoder: Weights, source: str) -> VJEPA2Config:
    """Tell the architecture from the shapes of weights."""
    from transformers import VJEPA2Config

    from tracker.features.vjepa21 import HIERARCHICAL_LAYERS, ROPE_GRID, VJepa21Config

    if any(".mlp.fc3." in name for name in encoder):
        raise UserError(f"{source} has SwiGLU layers, which are not implemented")
    depth = count_layers(encoder, "blocks")
    try:
        width, _, tubelet, patch, across = encoder["patch_embed.proj.weight"].shape
        hidden = encoder["blocks.0.mlp.fc1.weight"].shape[0]
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(
            f"{source} does not hold an encoder of video in Meta's layout; name a V-JEPA 2 or 2.1 "
            "checkpoint as Meta publishes it"
        ) from error
    if patch != across or width % HEAD_CHANNELS:
        raise UserError(
            f"{source}: {width} channels in patches of {patch}x{across} pixels are not implemented"
        )
    shape: dict[str, Any] = {
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": HEADS_OF_WIDTH.get(width, width // HEAD_CHANNELS),
        "mlp_ratio": hidden / width,
        "patch_size": patch,
        "tubelet_size": tubelet,
        # What plain transformers computes positions from: Meta's names tell where it is not 256.
        "crop_size": 384 if "384" in Path(source).stem else 256,
    }
    if not _is_21(encoder):
        return VJEPA2Config(**shape)
    if depth not in HIERARCHICAL_LAYERS or patch != 16:
        raise UserError(
            f"{source}: a V-JEPA 2.1 of {depth} layers and patches of {patch} pixels is not "
            f"implemented; those of 16 pixels and {_list(HIERARCHICAL_LAYERS)} layers are"
        )
    return VJepa21Config(
        **shape,
        hierarchical_layers=list(HIERARCHICAL_LAYERS[depth]),
        rope_interleaved=True,
        rope_grid=ROPE_GRID,
    )


def _list(numbers: dict[int, Any]) -> str:
    *first, last = numbers
    return f"{', '.join(map(str, first))} or {last}"


def _drop_positions(weights: Weights, name: str, source: str) -> None:
    """Leave out a table of absolute positions, as Meta's loader does: V-JEPA 2 turns by angles."""
    if weights.pop(name, None) is not None:
        log.warning(
            "%s holds a table of absolute positions (%s), which V-JEPA 2 does not use; if it is "
            "the first V-JEPA, its features will be wrong",
            source,
            name,
        )


def _predictor_of(content: dict[str, Any], source: str) -> Weights:
    if "predictor" not in content:
        raise UserError(f"{source} holds no predictor, which V-JEPA 2.0 has; download it again")
    predictor = _part(content, "predictor", source)
    predictor.pop("predictor_pos_embed", None)  # as pos_embed of the encoder
    depth, masks = count_layers(predictor, "predictor_blocks"), _count_masks(predictor)
    check_names(predictor, names_of_predictor(max(1, depth), max(1, masks)), source)
    tokens = [predictor.pop(f"mask_tokens.{i}") for i in range(masks)]
    predictor["predictor.embeddings.mask_tokens"] = torch.stack(tokens)
    return predictor


def _count_masks(predictor: Weights) -> int:
    return sum(name.startswith("mask_tokens.") for name in predictor)


def _set_predictor(config: VJEPA2Config, predictor: Weights, source: str) -> None:
    width = predictor["predictor_embed.weight"].shape[0]
    if width % PREDICTOR_HEAD_CHANNELS:
        raise UserError(f"{source}: a predictor of {width} channels is not implemented")
    config.pred_hidden_size = width
    config.pred_num_hidden_layers = count_layers(predictor, "predictor_blocks")
    config.pred_num_attention_heads = width // PREDICTOR_HEAD_CHANNELS
    config.pred_num_mask_tokens = len(predictor["predictor.embeddings.mask_tokens"])
    config.pred_mlp_ratio = predictor["predictor_blocks.0.mlp.fc1.weight"].shape[0] / width


def _fill(
    kind: type[VJEPA2Model] | type[VJepa21Model],
    config: VJEPA2Config,
    weights: Weights,
    source: str,
) -> VJEPA2Model | VJepa21Model:
    """Build a model around weights, which are copied out of the file into float32."""
    with torch.device("meta"):
        model = kind(config)  # type: ignore[arg-type]  # each with the config of its own kind
    for name, wanted in model.state_dict().items():
        if weights[name].shape != wanted.shape:
            raise UserError(
                f"{source}: {name} has shape {tuple(weights[name].shape)} where its model has "
                f"{tuple(wanted.shape)}; that architecture is not implemented"
            )
    copies = {name: value.to(torch.float32, copy=True) for name, value in weights.items()}
    model.load_state_dict(copies, assign=True)
    return model
