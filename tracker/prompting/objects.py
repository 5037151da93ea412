"""Objects that words have found, and the points that are put on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tracker.points.queries import Queries
from tracker.prompting.defaults import GRID
from tracker.prompting.sightings import Sighting
from tracker.prompting.words import noun_of


@dataclass(frozen=True, eq=False)
class FoundObject:
    """An object, in one or several frames.

    Attributes:
        name: such as `cat 1`.
        sightings: in the order of frames.
    """

    name: str
    sightings: tuple[Sighting, ...]

    @property
    def prompt(self) -> str:
        """What it was found by."""
        return self.sightings[0].prompt

    @property
    def best(self) -> Sighting:
        """The sighting with the highest score, the first of equal ones."""
        return max(self.sightings, key=lambda sighting: sighting.score)

    def queries(self, n: int = GRID) -> Queries:
        """Return the points of an `n` x `n` grid inside its best mask, named `cat 1/1` and on.

        Raises:
            UserError: `n` is below 1.
        """
        return Queries.inside(self.best.mask, n, self.best.t).grouped(self.name)


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """All objects of a video.

    Attributes:
        objects: those of each prompt numbered by the frame that they are first found in.
        frames: that were searched, ascending.
    """

    objects: tuple[FoundObject, ...]
    frames: tuple[int, ...]

    @classmethod
    def of(cls, groups: Sequence[Sequence[Sighting]], frames: Sequence[int]) -> FoundObjects:
        """Name objects whose sightings are grouped."""
        counts: Counter[str] = Counter()
        objects = []
        for group in groups:
            noun = noun_of(group[0].prompt)
            counts[noun] += 1
            objects.append(FoundObject(f"{noun} {counts[noun]}", tuple(group)))
        return cls(tuple(objects), tuple(frames))

    def __len__(self) -> int:
        return len(self.objects)

    def __iter__(self) -> Iterator[FoundObject]:
        return iter(self.objects)

    def __getitem__(self, index: int) -> FoundObject:
        return self.objects[index]

    def queries(self, n: int = GRID) -> Queries:
        """Return points inside every object, as `FoundObject.queries` puts them.

        Raises:
            UserError: `n` is below 1.
        """
        return Queries.concat([found.queries(n) for found in self.objects])

    def seen_in(self, t: int) -> list[tuple[int, Sighting]]:
        """Return the sightings in a frame, each with the number of its object, from 0."""
        return [
            (number, sighting)
            for number, found in enumerate(self.objects)
            for sighting in found.sightings
            if sighting.t == t
        ]
