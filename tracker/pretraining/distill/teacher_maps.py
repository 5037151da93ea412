"""The teacher's maps of every view, computed once and kept on disk in half precision.

A file a source holds its views: pictures as bytes at the backbone's scale, and the teacher's map of
each. A file that is damaged, or of another teacher, other settings or another picture, is made
again. Shapes: F frames of a view, C channels, h x w cells of a map.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tracker.errors import UserError
from tracker.files import prepare_output_dir, save_tensors
from tracker.pretraining.distill.sources import Source
from tracker.pretraining.distill.teachers import Teacher
from tracker.pretraining.distill.views import View, ViewConfig, draw_view
from tracker.progress import nested_bar

AT_ONCE = 4
"""Pictures that the teacher sees at a time."""


@dataclass(frozen=True)
class StoredView:
    """A view whose pictures and maps are in a file.

    Attributes:
        file: where it is.
        index: its number in the file.
        kind: `photograph` or `video`.
        frames: F.
        size: `(height, width)` of its pictures.
        cells: `(h, w)` of its maps.
    """

    file: Path
    index: int
    kind: str
    frames: int
    size: tuple[int, int]
    cells: tuple[int, int]

    def read(self, first: int, frames: int, box: tuple[slice, slice]) -> tuple[Tensor, Tensor]:
        """Return pictures `(F, 3, ...) uint8` of a box of pixels, and maps `(F, C, h, w)`.

        Raises:
            UserError: the file was damaged since it was checked.
        """
        part = slice(first, first + frames)
        try:
            with safe_open(str(self.file), framework="pt") as file:
                pictures = file.get_slice(f"pictures{self.index}")[part, :, box[0], box[1]]
                maps = file.get_slice(f"maps{self.index}")[part]
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{self.file} was damaged while in use ({error}); run the command again"
            ) from error
        return pictures, maps.float()


@dataclass(frozen=True)
class TeacherMaps:
    """All views of all sources.

    Attributes:
        views: the views.
        mean: `(C,)` of the teacher's features, over all of them.
        std: `(C,)` their deviation, likewise.
        lag: cells that what a cell describes lies above and left of it.
        skipped: sources that could not be decoded, and why.
        made: files that were made now, not found.
    """

    views: list[StoredView]
    mean: Tensor
    std: Tensor
    lag: float
    skipped: dict[str, str]
    made: int


def prepare_maps(
    folder: str | Path,
    sources: Sequence[Source],
    teacher: Teacher,
    config: ViewConfig,
    limit_gb: float,
    progress: bool = True,
) -> TeacherMaps:
    """Find or make the maps of all sources.

    Args:
        folder: where files are kept.
        sources: photographs and videos.
        teacher: whose maps.
        config: how many views, and what they are like.
        limit_gb: most that the folder may take; fewer views are made where all would not fit.
        progress: show a bar.

    Raises:
        UserError: the folder cannot be written, disk or limit leave no room for one view of each
            source, or no source can be decoded.
    """
    root = prepare_output_dir(folder)
    counts = _views_that_fit(sources, teacher, config, limit_gb)
    work = json.dumps([teacher.fingerprint(), asdict(config)], sort_keys=True)
    files = [root / f"{s.digest}-{_key(work, counts[s.kind])}.safetensors" for s in sources]
    missing = [n for n, file in enumerate(files) if not _is_whole(file)]
    if missing:
        _check_room(root, [sources[n] for n in missing], teacher, config, counts)
    skipped: dict[str, str] = {}
    bar = nested_bar(missing, f"describing pictures with {teacher.name}", "sources")
    for n in bar if progress else missing:
        views = draw_views(sources[n], config, counts[sources[n].kind])
        try:
            _make(files[n], sources[n], views, teacher, config)
        except _UndecodableError as error:
            skipped[str(sources[n].path)] = str(error)
    made = [(f, s.kind) for f, s in zip(files, sources, strict=True) if str(s.path) not in skipped]
    return _open_all(made, teacher.lag / teacher.stride, skipped, len(missing) - len(skipped))


def draw_views(source: Source, config: ViewConfig, count: int) -> list[View]:
    """Return the first views of a source; its content decides what they are like."""
    seed = int(source.digest[:7], 16)
    return [draw_view(config, source.size, source.length, 64 * seed + n) for n in range(count)]


class _UndecodableError(Exception):
    """A source's frames cannot be decoded."""


def _make(
    file: Path, source: Source, views: list[View], teacher: Teacher, config: ViewConfig
) -> None:
    tensors: dict[str, Tensor] = {}
    total = square = torch.zeros(teacher.channels, dtype=torch.float64)
    count = 0
    for index, view in enumerate(views):
        pictures, maps = [], []
        try:
            frames = source.read(view.first, view.frames)
        except UserError as error:
            raise _UndecodableError(str(error)) from error
        for part in frames.split(AT_ONCE):
            pictures.append((view.pictures(part) * 255).round().to(torch.uint8))
            large = view.for_teacher(part, config.teacher_scale, teacher.stride)
            maps.append(teacher(large).cpu())
        described = torch.cat(maps)
        total = total + described.double().sum((0, 2, 3))
        square = square + described.double().square().sum((0, 2, 3))
        count += described[:, 0].numel()
        tensors[f"pictures{index}"] = torch.cat(pictures).contiguous()
        tensors[f"maps{index}"] = described.half().contiguous()
    tensors |= {"total": total, "square": square}
    metadata = {"cells": str(count), "views": str(len(views)), "crc": str(_checksum(tensors))}
    save_tensors(tensors, file, metadata)


def _open_all(
    files: Sequence[tuple[Path, str]], lag: float, skipped: dict[str, str], made: int
) -> TeacherMaps:
    if not files:
        raise UserError(f"none of {len(skipped)} photographs and videos can be decoded")
    views: list[StoredView] = []
    total = square = torch.zeros((), dtype=torch.float64)
    count = 0
    for path, kind in files:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata()
            total, square = total + file.get_tensor("total"), square + file.get_tensor("square")
            count += int(metadata["cells"])
            for index in range(int(metadata["views"])):
                length, _, *size = file.get_slice(f"pictures{index}").get_shape()
                cells = file.get_slice(f"maps{index}").get_shape()[2:]
                views.append(StoredView(path, index, kind, length, tuple(size), tuple(cells)))
    mean = total / count
    std = (square / count - mean.square()).clamp(min=1e-12).sqrt()
    return TeacherMaps(views, mean.float(), std.float(), lag, skipped, made)


def _is_whole(path: Path) -> bool:
    """Whether the file is there and holds what was written."""
    if not path.is_file():
        return False
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return metadata["crc"] == str(_checksum(tensors))
    except (SafetensorError, OSError, KeyError, ValueError):
        return False


def _checksum(tensors: dict[str, Tensor]) -> int:
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].contiguous().numpy().data, crc)
    return crc


def _key(work: str, views: int) -> str:
    return hashlib.sha256(f"{work} {views}".encode()).hexdigest()[:12]


def _bytes_of(source: Source, teacher: Teacher, config: ViewConfig, count: int) -> int:
    """Return the size of a source's file, but for a few hundred bytes."""
    total = 0
    for view in draw_views(source, config, count):
        cells = [max(1, round(s * config.teacher_scale / teacher.stride)) for s in view.size]
        total += view.frames * (
            3 * view.size[0] * view.size[1] + 2 * teacher.channels * cells[0] * cells[1]
        )
    return total


def _views_that_fit(
    sources: Sequence[Source], teacher: Teacher, config: ViewConfig, limit_gb: float
) -> dict[str, int]:
    """Return how many views each kind of source gets: as many as asked for, or as fit the limit."""
    counts = {"photograph": config.photograph_views, "video": config.video_views}
    while True:
        total = sum(_bytes_of(s, teacher, config, counts[s.kind]) for s in sources)
        if total <= limit_gb * 1e9:
            return counts
        if max(counts.values()) == 1:
            raise UserError(
                f"the teacher's maps of one view each of {len(sources)} sources take "
                f"{total / 1e9:.2f} GB, more than cache_gb={limit_gb}; raise it"
            )
        counts = {kind: max(1, count - 1) for kind, count in counts.items()}


def _check_room(
    root: Path,
    sources: list[Source],
    teacher: Teacher,
    config: ViewConfig,
    counts: dict[str, int],
) -> None:
    needed = sum(_bytes_of(s, teacher, config, counts[s.kind]) for s in sources)
    free = shutil.disk_usage(root).free
    kinds = Counter(s.kind for s in sources)
    asked = ", ".join(f"{counts[kind]} views of each of {n} {kind}s" for kind, n in kinds.items())
    print(f"teacher's maps: {asked}; {needed / 1e9:.2f} GB in {root}")
    if needed > free:
        raise UserError(
            f"{root} has {free / 1e9:.2f} GB left, the teacher's maps need {needed / 1e9:.2f} GB; "
            "free some, choose another teacher.cache, or lower teacher.cache_gb"
        )
