"""The two families of checkpoints, by hub id or folder, and what is said where one is no good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from tracker.errors import UserError
from tracker.extras import needs
from tracker.prompting.defaults import DETECTOR, SEGMENTER

Model = TypeVar("Model", bound=Any)


@dataclass(frozen=True)
class Family:
    """A kind of checkpoint.

    Attributes:
        role: what it does here.
        name: as people know it.
        model_types: what its configs call it.
        default: the hub id of a usual one.
    """

    role: str
    name: str
    model_types: tuple[str, ...]
    default: str

    def read_config(self, source: str) -> dict[str, Any]:
        """Read the `config.json` of a folder or hub id.

        Raises:
            UserError: it is not there, not readable, or of another kind of model.
        """
        from transformers import PretrainedConfig

        folder = Path(source)
        # Hub ids are owner/name: anything else would be asked of the network for nothing.
        is_path = folder.is_absolute() or source.startswith(".") or source.count("/") != 1
        if (is_path or folder.is_dir()) and not (folder / "config.json").is_file():
            raise UserError(
                f"{self.role} {source!r} cannot be loaded: no {folder / 'config.json'}; name a "
                f"folder or hub id of {self.name}, such as {self.default}"
            )
        with self.explained(source):
            content, _ = PretrainedConfig.get_config_dict(source)
        kind = content.get("model_type")
        if kind not in self.model_types:
            raise UserError(
                f"{self.role} {source!r} is a checkpoint of {kind}, not of {self.name}; name one "
                f"such as {self.default}"
            )
        return content

    def load(self, kind: type[Model], source: str, config: Any) -> Model:
        """Load a model in float32, ready to be used.

        Args:
            kind: its class in transformers.
            source: a folder or hub id.
            config: of the class's own kind of configs.

        Raises:
            UserError: weights are missing, damaged or another model's.
        """
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # our commands show their own
        with self.explained(source):
            model, report = kind.from_pretrained(
                source,
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                use_safetensors=True,
            )
        missing = sorted(report["missing_keys"])
        if missing:
            raise UserError(
                f"{self.role} {source!r} lacks {len(missing)} weights ({missing[0]} ...); it is "
                "damaged or another model; download or save it again"
            )
        return model.eval()

    @contextmanager
    def explained(self, source: str) -> Iterator[None]:
        """Turn what transformers raises about a checkpoint into one line that says what to do.

        Raises:
            UserError: anything of the checkpoint cannot be read.
        """
        from safetensors import SafetensorError

        try:
            yield
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]
            if Path(source).is_dir():
                told = f"cannot be loaded ({reason}); download or save it again"
            else:
                told = (
                    f"is neither a folder nor a hub id that could be fetched ({reason}); check "
                    f"the name and the network, or name a folder of {self.name}"
                )
            raise UserError(f"{self.role} {source!r} {told}") from error


DETECTORS = Family("detector", "OWLv2", ("owlv2",), DETECTOR)

SEGMENTERS = Family("segmenter", "SAM 2", ("sam2", "sam2_video"), SEGMENTER)
"""Published ones are for videos; their part for pictures is what is read."""


def check_installed() -> None:
    """Check that what the two families need is there.

    Raises:
        UserError: the extra `text` is not installed.
    """
    with needs("text"):
        import scipy.ndimage  # noqa: F401  # which transformers shrinks OWLv2's pictures with
    try:
        from transformers import Owlv2ImageProcessorPil, Sam2Model  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"this transformers has no OWLv2 or SAM 2 ({str(error).splitlines()[0]}); get a newer "
            "one with: pip install 'vjepa-tracker[text]'"
        ) from error
