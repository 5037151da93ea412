"""Videos sorted into folders by class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from tracker.errors import UserError
from tracker.video.pixels import resize
from tracker.video.video import Video
from tracker.video.video_folder import open_video_folder


@dataclass(frozen=True)
class LabelledVideos:
    """Videos and their classes.

    Attributes:
        classes: names of the subfolders, in order.
        videos: all of them, class by class.
        labels: the number of each one's class.
        paths: each one's file.
        skipped: why files could not be opened, or decoded later, by path.
    """

    classes: tuple[str, ...]
    videos: list[Video]
    labels: list[int]
    paths: list[str]
    skipped: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_folder(cls, folder: str | Path) -> LabelledVideos:
        """Read `folder/<class>/<video>`, subfolders of a class included.

        Raises:
            UserError: no folder, fewer than two classes, or a class with fewer than two readable
                videos.
        """
        root = Path(folder)
        if not root.is_dir():
            raise UserError(f"folder {folder} does not exist; name one with a subfolder per class")
        classes = sorted(p for p in root.iterdir() if p.is_dir())
        if len(classes) < 2:
            raise UserError(
                f"folder {folder} has {len(classes)} subfolders; a class each, 2 or more"
            )
        found = cls(tuple(p.name for p in classes), [], [], [])
        for label, path in enumerate(classes):
            of_class = open_video_folder(path)
            if len(of_class.videos) < 2:
                raise UserError(
                    f"class folder {path} holds {len(of_class.videos)} readable videos; a "
                    "class needs 2 or more, to learn from and to test on"
                )
            found.videos.extend(of_class.videos.values())
            found.paths.extend(of_class.videos)
            found.labels.extend([label] * len(of_class.videos))
            found.skipped.update(of_class.skipped)
        return found

    def split(self, test_share: float, seed: int) -> tuple[list[int], list[int]]:
        """Return the numbers of videos to learn from and to test on; each class has both."""
        train: list[int] = []
        test: list[int] = []
        random = Generator().manual_seed(seed)
        for label in range(len(self.classes)):
            members = [i for i, other in enumerate(self.labels) if other == label]
            order = torch.randperm(len(members), generator=random).tolist()
            held_out = min(len(members) - 1, max(1, round(test_share * len(members))))
            test += [members[i] for i in order[:held_out]]
            train += [members[i] for i in order[held_out:]]
        return sorted(train), sorted(test)

    def clip(self, number: int, frames: int, size: tuple[int, int]) -> Tensor:
        """Return `frames` frames spread over a whole video, `(T, 3, H, W)` in 0..1.

        The whole frame is resized to `size`, so that no class is cut off; nothing is mirrored,
        for left and right may be classes.

        Raises:
            UserError: its frames cannot be decoded.
        """
        video = self.videos[number]
        times = np.linspace(0, len(video) - 1, frames).round().astype(int)
        kept = {}
        for index, frame in enumerate(video.frames()):
            if index in times:
                kept[index] = torch.from_numpy(frame).permute(2, 0, 1).float() / 255
        clip = torch.stack([kept[int(i)] for i in times])
        return resize(clip[None], size)[0]

    def readable(
        self, numbers: Iterable[int], frames: int, size: tuple[int, int]
    ) -> Iterator[tuple[Tensor, dict[str, int]]]:
        """Yield clip and class of each video that can be decoded; `skipped` takes the others."""
        for number in numbers:
            try:
                clip = self.clip(number, frames, size)
            except UserError as error:
                self.skipped[self.paths[number]] = str(error)
            else:
                yield clip, {"class": self.labels[number]}
