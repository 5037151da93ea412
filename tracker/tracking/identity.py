"""What a tracker is: a head that was trained on the features of one backbone and one template.

A saved tracker's config holds the fingerprints of both. Where they meet a head again, in loading
and in training on, they are compared: with other features a head runs without an error, and is
wrong.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.errors import UserError
from tracker.features.template import PositionalTemplate

if TYPE_CHECKING:
    from tracker.tracking.model import TrackingModel

log = logging.getLogger(__name__)

KEY = "fingerprints"
"""Where they stand in a tracker's config.json."""


@dataclass(frozen=True)
class Fingerprints:
    """Of the parts that a head depends on; None where there is no such part.

    Attributes:
        backbone: of the encoder's weights.
        template: of the positional template.
    """

    backbone: str | None
    template: str | None

    @classmethod
    def of(cls, tracker: TrackingModel) -> Fingerprints:
        """Return those of a tracker in memory."""
        return cls(
            None if tracker.backbone is None else tracker.backbone.fingerprint(),
            None if tracker.template is None else tracker.template.fingerprint(),
        )

    @classmethod
    def read(cls, content: dict[str, Any], file: Path) -> Fingerprints | None:
        """Return those that a tracker's config records.

        Args:
            content: of the config.
            file: that it was read from.

        Returns:
            None, with a warning, where an earlier version wrote it.

        Raises:
            UserError: they are not what `to_dict` gave.
        """
        if KEY not in content:
            log.warning(
                "%s was written by an earlier version, without fingerprints: whether backbone and "
                "template are its own cannot be checked; saving the tracker again adds them",
                file,
            )
            return None
        try:
            found = cls(**content[KEY])
        except TypeError as error:
            raise UserError(f"{file}: {KEY} must name backbone and template ({error})") from error
        return found

    def to_dict(self) -> dict[str, str | None]:
        """Return them as JSON has them."""
        return asdict(self)


def read_config(folder: Path) -> dict[str, Any]:
    """Return what a tracker's config.json holds.

    Raises:
        UserError: it is missing, damaged or another kind of file.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise UserError(f"tracker {folder} has no config.json; copy or save it again")
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise UserError(f"{file} is not JSON ({error}); save the tracker again") from error
    if not isinstance(content, dict) or not isinstance(content.get("backbone"), dict):
        raise UserError(f"{file} is not a tracker's config; save the tracker again")
    return content


def check_backbone(recorded: str | None, found: str, source: str, folder: Path) -> None:
    """Fail unless a tracker's backbone is the one that it was saved with.

    Args:
        recorded: fingerprint in the tracker's config.
        found: fingerprint of the backbone that was loaded.
        source: where from.
        folder: of the tracker.

    Raises:
        UserError: it is another one.
    """
    if recorded != found:
        raise UserError(
            f"backbone {source} is not the one of tracker {folder}: it has weights {found}, not "
            f"{recorded}; copy the tracker again, or name its backbone with the setting "
            "backbone.source"
        )


def check_template(recorded: str | None, template: PositionalTemplate | None, file: Path) -> None:
    """Fail unless a tracker's template is the one that it was saved with.

    Args:
        recorded: fingerprint in the tracker's config; None where it has no template.
        template: what was loaded; None where the file is missing.
        file: of the template.

    Raises:
        UserError: it is missing, too many, or another one.
    """
    found = template and template.fingerprint()
    if recorded == found:
        return
    remedy = "copy the tracker again, or name another template"
    if found is None:
        raise UserError(f"{file} is missing: the tracker was saved with one; {remedy}")
    if recorded is None:
        raise UserError(f"{file} does not belong there: the tracker was saved without; delete it")
    raise UserError(
        f"{file} belongs to another tracker: its fingerprint is {found}, not {recorded}; {remedy}"
    )
