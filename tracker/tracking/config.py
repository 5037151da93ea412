"""What a tracker is made of, as it is kept in config.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from tracker.errors import UserError
from tracker.features.backbone import BackboneConfig
from tracker.head import HeadConfig
from tracker.settings import check_settings
from tracker.video.pixels import image_size


@dataclass(frozen=True)
class InferenceConfig:
    """How videos are cut up.

    Attributes:
        block: frames followed at once.
        context: frames beside a block that are followed along with it.
        point_chunk: points followed at once; None takes 32 on a CPU, whose caches they should
            fit, and 512 on a GPU.
        iterations: refinement steps; None takes what the head was trained with.
        shown_from: a point is shown where it is visible and certain with more than this
            probability.
    """

    block: int = 32
    context: int = 16
    point_chunk: int | None = None
    iterations: int | None = None
    shown_from: float = 0.25

    def __post_init__(self) -> None:
        chunk, iterations = self.point_chunk, self.iterations
        small = self.block < 1 or self.context < 0 or (chunk is not None and chunk < 1)
        if small or (iterations is not None and iterations < 0):
            raise UserError(
                f"inference.block={self.block}, context={self.context}, point_chunk={chunk}, "
                f"iterations={iterations}: use positive numbers"
            )
        if not 0 <= self.shown_from < 1:
            raise UserError(f"inference.shown_from={self.shown_from} must be from 0 to below 1")


@dataclass(frozen=True)
class TrackerConfig:
    """Everything that a tracker is made of, apart from weights.

    Attributes:
        backbone: what gives the features, and which.
        head: its sizes and branches.
        inference: how a video is gone through.
        fine_size: `(height, width)` of the frames that the RGB stem sees, multiples of 16.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    fine_size: tuple[int, int] = (256, 256)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fine_size", image_size("fine_size", self.fine_size))
        if any(side % 16 or side < 32 for side in self.fine_size):
            raise UserError(f"fine_size {list(self.fine_size)}: use multiples of 16 from 32 up")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON has them: lists for tuples; `from_dict` reads them."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> TrackerConfig:
        """Read what `to_dict` gave.

        Raises:
            UserError: unknown or missing settings.
        """
        try:
            return cls(
                BackboneConfig(**content["backbone"]),
                HeadConfig(**content["head"]),
                InferenceConfig(**content["inference"]),
                content["fine_size"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"the tracker's config does not fit this version ({error})") from error


def replace_settings(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a tracker's settings with some replaced, those inside groups one by one.

    Args:
        content: what `TrackerConfig.to_dict` gave.
        changes: of the same form, such as `{"inference": {"block": 24}}`.

    Raises:
        UserError: a tracker has no such setting, or it is of another kind.
    """
    check_settings(changes, TrackerConfig)
    return _merge(content, changes)


def _merge(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(content)
    for key, value in changes.items():
        inside = isinstance(value, dict) and isinstance(content.get(key), dict)
        result[key] = _merge(content[key], value) if inside else value
    return result
