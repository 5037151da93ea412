"""One video of a run of `track`: what is asked for, and doing it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.cli.options.outputs import OutputFiles, choose_files, choose_files_of_one
from tracker.cli.options.prompts import find_objects, points_in_objects
from tracker.cli.options.queries import choose_queries
from tracker.cli.options.videos import open_video
from tracker.errors import UserError
from tracker.files import atomic_path, results_folder
from tracker.points.drawing import DrawingStyle
from tracker.points.queries import Queries
from tracker.progress import progress_bar
from tracker.registry import Tracker
from tracker.video.video import Video

if TYPE_CHECKING:
    from tracker.prompting.objects import FoundObjects


@dataclass(frozen=True)
class Job:
    """A video that is ready to be tracked.

    Attributes:
        name: as it was given.
        video: its frames.
        queries: that fit it.
        files: to be written.
        objects: that words name; None where there are no prompts.
    """

    name: str
    video: Video
    queries: Queries
    files: OutputFiles
    objects: FoundObjects | None = None

    @property
    def summary(self) -> dict[str, Any]:
        """What is known before tracking, for scripts."""
        objects = {} if self.objects is None else {"objects": [o.name for o in self.objects]}
        return objects | {
            "video": self.name,
            "size": list(self.video.size),
            "frames": len(self.video),
            "fps": self.video.fps,
            "points": len(self.queries.points),
            "names": [p.name for p in self.queries.points] if self.queries.names else None,
        }


def prepare(
    name: str,
    args: argparse.Namespace,
    several: bool,
    taken: Collection[Path],
    tracker: Tracker | None = None,
) -> Job:
    """Open a video, and choose its points and files.

    Args:
        name: of the video.
        args: the options.
        several: whether there are other videos.
        taken: folders that they have.
        tracker: follows points between frames in which words have found objects; None where there
            are no prompts.

    Raises:
        UserError: it cannot be opened, nothing is found in it, the points do not fit it, or its
            files are there already.
    """
    video = open_video(name, args)
    stem = Path(video.name).stem
    if args.preview:
        files = OutputFiles({preview_path(args.out, stem, several, taken): "png"})
    elif several and args.out is not None:
        files = choose_files_of_one(args.out, args.save, args.overwrite, stem, taken)
    else:
        files = choose_files(args.out, args.save, args.overwrite, Path("outputs") / stem, taken)
    objects = None if tracker is None else find_objects(args, video, tracker)
    if objects is None:
        queries = choose_queries(args, video)
    else:
        queries = points_in_objects(args, video, objects)
    width, height = video.size
    rate = f"{video.fps:.3g} fps{' (variable)' if video.info.variable_frame_rate else ''}"
    count = len(queries.points)
    points = "1 point" if count == 1 else f"{count} points"
    print(f"{video.name}: {width}x{height}, {len(video)} frames, {rate}; {points}")
    return Job(name, video, queries, files, objects)


def track_video(job: Job, tracker: Tracker, name: str, style: DrawingStyle) -> dict[str, Any]:
    """Track a video and write its files; return a summary for scripts.

    Raises:
        UserError: frames cannot be decoded, or a file cannot be written.
    """
    from tracker.cli.tracking.passing import OnePass  # brings OpenCV, which --help does without

    with job.files.folders(), OnePass(job.video, job.files, style) as once:
        started = time.perf_counter()
        with progress_bar("tracking") as progress:
            tracks = once.track(tracker, job.queries, progress)
        seconds = time.perf_counter() - started - once.seconds_drawing
        seen = float(tracks.visible.mean())
        print(f"tracked in {seconds:.1f} s with {name}; {seen:.0%} visible")
        written = []
        for path in once.write(tracks):
            print(f"written: {path}")
            written.append(str(path))
        if job.objects is not None and job.files.objects is not None:
            from tracker.prompting.writing import write_objects

            written += map(str, write_objects(job.objects, job.files.objects, job.video))
            print(f"written: {job.files.objects} (masks of {len(job.objects)} objects)")
    told = {"tracker": name, "seconds": round(seconds, 3), "visible": round(seen, 4)}
    return job.summary | told | {"files": written}


def preview_path(out: str | None, stem: str, several: bool, taken: Collection[Path]) -> Path:
    """Return where a picture of the points goes; an earlier one is replaced.

    Raises:
        UserError: `out` is a file of another kind.
    """
    if out is None or several:
        folder = Path("outputs" if out is None else out)
        numbers = ["", *(f"-{number}" for number in range(2, len(taken) + 2))]
        return next(
            folder / f"{stem}{number}" / "preview.png"
            for number in numbers
            if folder / f"{stem}{number}" not in taken
        )
    if Path(out).suffix.lower() == ".png":
        return Path(out)
    if not Path(out).is_dir() and Path(out).suffix:
        raise UserError(f"--preview writes a .png, not {out}; name one, or a folder")
    return Path(out) / "preview.png"


def preview_video(job: Job, style: DrawingStyle) -> dict[str, Any]:
    """Draw a video's queries; return a summary for scripts.

    Raises:
        UserError: the picture cannot be written.
    """
    (path,) = job.files.paths
    with results_folder(path.parent), atomic_path(path) as partial:
        job.queries.plot(job.video, style).save(partial)
    print(f"written: {path}")
    return job.summary | {"files": [str(path)]}
