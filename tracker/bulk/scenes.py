"""Clips for training, made ahead of time by the same workers that track videos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from tracker.bulk.engine import Engine, Item
from tracker.bulk.places import atomic_place, delete, join, list_files, read_bytes, reported
from tracker.datasets.shards import INDEX, ShardIndex, write_shard
from tracker.devices import set_threads
from tracker.errors import UserError
from tracker.settings import build


@dataclass(frozen=True)
class ClipsConfig:
    """Which clips are made, and how they are stored.

    Attributes:
        first: number of the first.
        count: how many; more than there were before are added.
        a_shard: clips in a file.
        pixels: `float32` for exact ones; `uint8` takes a quarter of the room, rounded as
            videos are.

    Raises:
        UserError: there would be none.
    """

    first: int = 0
    count: int = 1000
    a_shard: int = 64
    pixels: Literal["float32", "uint8"] = "float32"

    def __post_init__(self) -> None:
        if min(self.count, self.a_shard) < 1 or self.first < 0:
            raise UserError(
                f"clips.count={self.count}, clips.a_shard={self.a_shard}: use 1 or more; "
                f"clips.first={self.first} counts from 0"
            )


class ShardWorker:
    """Makes the clips of the files that it is given, one after another.

    Args:
        index: what the clips are.
        place: path or address of a folder.
        threads: of torch and OpenCV.

    Raises:
        UserError: the source cannot be made.
    """

    def __init__(self, index: ShardIndex, place: str, threads: int | None) -> None:
        set_threads(threads)
        self._source = build(index.data, "data")
        self._index, self._place = index, place

    def __call__(self, item: Item) -> Item:
        """Write the file of the number `shard`; return how many `clips` it holds."""
        numbers = self._index.numbers(item["shard"])
        clips = ((n, *(part[0] for part in self._source.clips([n]))) for n in numbers)
        try:
            with atomic_place(join(self._place, self._index.file(item["shard"]))) as file:
                write_shard(file, clips, self._index.pixels)
        except (UserError, OSError) as error:
            return {"error": str(error)}
        return {"clips": len(numbers)}


@dataclass(frozen=True)
class Rendering:
    """Clips that are to be made.

    Attributes:
        place: path or address of a folder.
        index: what they are.
        left: numbers of the files that are not there yet.
    """

    place: str
    index: ShardIndex
    left: tuple[int, ...]

    @classmethod
    def open(cls, place: str, data: Mapping[str, Any], clips: ClipsConfig) -> Rendering:
        """Open a place that holds some of these clips, or none.

        Args:
            place: path or address of a folder.
            data: settings of a source of clips.
            clips: which, and how they are stored.

        Raises:
            UserError: the source cannot be made, or other clips are there.
        """
        video, xy, _ = build(data, "data").clips([clips.first])
        frames, _, height, width = video.shape[1:]
        index = ShardIndex(
            **vars(clips),
            frames=frames,
            size=(height, width),
            points=xy.shape[1],
            data=dict(data),
        )
        _settle(place, index)
        there = list_files(place)
        left = (shard for shard in index.shards if index.file(shard) not in there)
        return cls(place, index, tuple(left))

    def render(self, engine: Engine, threads: int | None) -> Iterator[int]:
        """Make what is left; yield the number of clips of each file as soon as it is there.

        Raises:
            UserError: a file cannot be written, or a worker died again and again.
        """
        make = partial(ShardWorker, self.index, self.place, threads)
        for item, result in engine.run(make, [{"shard": shard} for shard in self.left]):
            if result is None:
                raise UserError(
                    f"the workers that made {self.index.file(item['shard'])} died, as they do "
                    "where memory is short; set a_shard smaller, and run the command again"
                )
            if "error" in result:
                raise UserError(result["error"])
            yield result["clips"]


def _settle(place: str, index: ShardIndex) -> None:
    """Write what the clips are, unless others are there.

    A last file that held fewer clips than it would now is deleted, to be made again.
    """
    file = join(place, INDEX)
    earlier = read_bytes(file)
    if earlier is not None:
        found = ShardIndex.from_json(earlier)
        if _without_count(found) != _without_count(index):
            raise UserError(
                f"{place} holds other clips (see {INDEX}); give the same settings, or another out"
            )
        if found.count > index.count:
            raise UserError(f"{place} holds {found.count} clips already; ask for as many or more")
        if found.count % found.a_shard and found.count < index.count:
            delete(join(place, found.file(found.shards[-1])))
    with reported("write", file), atomic_place(file) as path:
        path.write_text(index.to_json())


def _without_count(index: ShardIndex) -> dict[str, Any]:
    return vars(index) | {"count": 0}
