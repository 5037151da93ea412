"""Clips with tracks that were made ahead of time: files of many clips, and a note of what they are.

    FOLDER/clips.json            what the clips are, and which
    FOLDER/clips-000000.npz      arrays video_N, xy_N and visible_N of each clip number N

`vjepa-tracker render` writes them. Arrays are not compressed, and a clip is read by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tracker.errors import UserError
from tracker.files import UNREADABLE

INDEX = "clips.json"


@dataclass(frozen=True)
class ShardIndex:
    """What the clips of a folder are.

    Attributes:
        first: number of the first clip.
        count: of clips.
        a_shard: clips in each file, but for the last.
        pixels: how they are stored: `float32` exactly, `uint8` in a quarter of the room.
        frames: of every clip.
        size: of every clip, `(height, width)` in pixels.
        points: of every clip.
        data: settings of the source that they were made by.
    """

    first: int
    count: int
    a_shard: int
    pixels: str
    frames: int
    size: tuple[int, int]
    points: int
    data: dict[str, Any]

    def to_json(self) -> str:
        """Return it as `clips.json` has it."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> ShardIndex:
        """Read what `to_json` gave.

        Raises:
            UserError: it is something else.
        """
        try:
            content = json.loads(text)
            height, width = content.pop("size")
            return cls(size=(int(height), int(width)), **content)
        except UNREADABLE as error:
            raise UserError(f"it is no note of clips ({error})") from error

    def file(self, shard: int) -> str:
        """Return the name of a file."""
        return f"clips-{shard:06d}.npz"

    @property
    def shards(self) -> range:
        """Numbers of the files."""
        return range(-(-self.count // self.a_shard))

    def numbers(self, shard: int) -> range:
        """Return the numbers of the clips in a file."""
        start = self.first + shard * self.a_shard
        return range(start, min(start + self.a_shard, self.first + self.count))


def write_shard(
    file: Path, clips: Iterable[tuple[int, Tensor, Tensor, Tensor]], pixels: str
) -> None:
    """Write clips, each with its number, video, xy and visible as sources give them.

    Args:
        file: `.npz`.
        clips: number, `(T, 3, H, W)` in 0..1, `(N, T, 2)`, `(N, T)`.
        pixels: how they are stored: `float32` exactly, `uint8` in a quarter of the room.
    """
    arrays: dict[str, Any] = {}
    for number, video, xy, visible in clips:
        stored = video if pixels == "float32" else (video * 255).round().byte()
        arrays[f"video_{number}"] = stored.cpu().numpy()
        arrays[f"xy_{number}"] = xy.cpu().numpy()
        arrays[f"visible_{number}"] = visible.cpu().numpy()
    np.savez(file, **arrays)


class ShardedTracks:
    """Clips with tracks out of files; a source as rendering is, and with `float32` the same clips.

    Args:
        root: the folder.
        frames: that clips must have; None for whatever they have.
        size: `(height, width)` in pixels that they must have, likewise.
        points: that they must have, likewise.
        repeat: whether clips beyond the last are the first ones again; otherwise they are missed.

    Raises:
        UserError: there are no clips, or they are others.
    """

    def __init__(
        self,
        root: str | None,
        frames: int | None = None,
        size: tuple[int, int] | None = None,
        points: int | None = None,
        repeat: bool = False,
    ) -> None:
        if root is None:
            raise UserError("data.root is not set; name the folder that vjepa-tracker render wrote")
        self._root, self._repeat = Path(root), repeat
        index = self._root / INDEX
        if not index.is_file():
            raise UserError(
                f"{root} holds no clips ({INDEX} is missing); make them with vjepa-tracker render"
            )
        try:
            self._index = ShardIndex.from_json(index.read_bytes())
        except UserError as error:
            raise UserError(f"{index} is damaged: {error}; render the clips again") from error
        wanted = {"frames": frames, "size": size and tuple(size), "points": points}
        for name, value in wanted.items():
            found = getattr(self._index, name)
            if value not in (None, found):
                raise UserError(
                    f"the clips of {root} have {name} {found}, not {value}; set data.{name}=null, "
                    "or render others"
                )

    def clips(self, numbers: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return video `(B, T, 3, H, W)` in 0..1, xy `(B, N, T, 2)` and visible `(B, N, T)`.

        Raises:
            UserError: a clip is not among them, or its file is missing or damaged.
        """
        read = [self._clip(number) for number in numbers]
        video, xy, visible = (torch.stack(parts) for parts in zip(*read, strict=True))
        return video, xy, visible

    def _clip(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        index = self._index
        offset = number - index.first
        if self._repeat:
            offset %= index.count
        if not 0 <= offset < index.count:
            raise UserError(
                f"clip {number} is not in {self._root}, which holds {index.first} to "
                f"{index.first + index.count - 1}; render more, or set data.repeat=true"
            )
        file = self._root / index.file(offset // index.a_shard)
        stored = index.first + offset
        try:
            with np.load(file, allow_pickle=False) as arrays:
                video, xy, visible = (
                    torch.from_numpy(arrays[f"{name}_{stored}"])
                    for name in ("video", "xy", "visible")
                )
        except UNREADABLE as error:
            raise UserError(
                f"clip {number} cannot be read from {file} ({error}); render the clips again"
            ) from error
        return (video if video.is_floating_point() else video.float() / 255), xy, visible
