"""From words and a video to objects: detector, segmenter, and points that tie frames together."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from tracker.analysis.keyframes import query_frames
from tracker.devices import check_device
from tracker.errors import UserError, log
from tracker.progress import Progress, reported
from tracker.prompting.checkpoints import DETECTORS, SEGMENTERS, check_installed
from tracker.prompting.defaults import DETECTOR, SEGMENTER, THRESHOLD
from tracker.prompting.detector import Detections, Detector
from tracker.prompting.objects import FoundObjects
from tracker.prompting.overlaps import keep_best, mask_overlaps
from tracker.prompting.segmenter import Segmenter
from tracker.prompting.sightings import Sighting, join_sightings
from tracker.prompting.words import check_prompts, either
from tracker.registry import Tracker, make_tracker
from tracker.video.loading import load_video
from tracker.video.video import Video

if TYPE_CHECKING:
    from tracker.video.loading import VideoLike

BATCH = 2
"""Frames that a network sees at once."""

MOST_OVERLAP = 0.7
"""Intersection over union, above which masks of one frame and prompt are taken for one thing."""


def find(
    video: VideoLike,
    prompts: str | Sequence[str],
    tracker: Tracker | None = None,
    *,
    frames: Sequence[int] | None = None,
    threshold: float = THRESHOLD,
    detector: str = DETECTOR,
    segmenter: str = SEGMENTER,
    backbone: str = "mini",
    device: str = "auto",
    progress: Progress | bool | None = None,
) -> FoundObjects:
    """Find objects that are named in words.

    Boxes are looked for in a few frames, masks made of them, and points followed between the
    frames, so that an object that is found in several of them is one. The networks are in memory
    one after the other.

    Args:
        video: whatever `load_video` takes.
        prompts: what to look for, such as `"a cat"`, or several such texts.
        tracker: follows the points; None for the one that ships.
        frames: where to look; None for the frames that the backbone finds most important, or, where
            it cannot be loaded, for frames spread evenly.
        threshold: in 0..1; lower ones find more, and more that is wrong.
        detector: an OWLv2, by its hub id or folder.
        segmenter: a SAM 2, by its hub id or folder.
        backbone: whose features choose the frames: `mini`, a hub id or a folder.
        device: where the networks run, as torch names devices, or `auto`.
        progress: as `tracker.track` takes it, of each stage by itself.

    Returns:
        At least one object.

    Raises:
        UserError: nothing is found, a prompt says nothing, a checkpoint cannot be loaded, the extra
            `text` is not installed, or the video cannot be read.
    """
    words = check_prompts(prompts)
    check_threshold(threshold)
    check_checkpoints(detector, segmenter)
    where = check_device(device)
    video = load_video(video)
    times = _frames(video, frames, backbone, where)
    detections = _detect(video, times, words, threshold, detector, where, progress)
    _tell_what_is_missing(video, words, threshold, detections)
    sightings = _segment(video, detections, words, segmenter, where, progress)
    if not sightings:
        raise UserError(
            f"{video.name}: {segmenter!r} finds no outline of what {either(words)} names; "
            "look in other frames, or use another segmenter"
        )
    tracker = tracker or make_tracker("vjepa", device=str(where))
    return FoundObjects.of(join_sightings(video, sightings, tracker, progress), times)


def check_threshold(threshold: float) -> None:
    """Raise UserError unless a score can be above the threshold, and another below it."""
    if not 0 <= threshold < 1:
        raise UserError(f"a prompt's threshold of {threshold:g} is not in 0..1; 0.1 is usual")


def check_checkpoints(detector: str, segmenter: str) -> None:
    """Check before any work that both kinds of checkpoints are there.

    Raises:
        UserError: one is not, or is of another kind; or the extra `text` is not installed.
    """
    check_installed()
    DETECTORS.read_config(detector)
    SEGMENTERS.read_config(segmenter)


def _frames(
    video: Video, frames: Sequence[int] | None, backbone: str, device: torch.device
) -> list[int]:
    if frames is None:
        chosen = query_frames(video, backbone, str(device))
        if chosen.fallback:
            log.warning("the frames to search are spread evenly, for %s", chosen.fallback)
        return chosen.numbers
    times = sorted(set(frames))
    if not times or times[0] < 0 or times[-1] >= len(video):
        raise UserError(
            f"frames {times} to search are not all among the video's 0..{len(video) - 1}"
        )
    return times


@contextmanager
def _memory_freed() -> Iterator[None]:
    """Hand back what networks took that went out of sight before this or within it."""
    _free_memory()
    try:
        yield
    finally:
        _free_memory()


def _free_memory() -> None:
    gc.collect()  # modules refer to each other in circles
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _batches(times: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(times), BATCH):
        yield list(times[start : start + BATCH])


def _detect(
    video: Video,
    times: Sequence[int],
    prompts: Sequence[str],
    threshold: float,
    source: str,
    device: torch.device,
    progress: Progress | bool | None,
) -> dict[int, Detections]:
    """Look for the prompts in the frames, and let go of the detector."""
    found: dict[int, Detections] = {}
    with _memory_freed(), reported(progress, len(times), "looking for the prompts") as move:
        network = Detector.load(source, device)
        for batch in _batches(times):
            results = network.detect([video[t] for t in batch], prompts, threshold)
            found |= dict(zip(batch, results, strict=True))
            move(len(found), len(times))
        del network
    return found


def _segment(
    video: Video,
    detections: dict[int, Detections],
    prompts: Sequence[str],
    source: str,
    device: torch.device,
    progress: Progress | bool | None,
) -> list[Sighting]:
    """Make masks of what was detected, and let go of the segmenter."""
    times = [t for t, found in detections.items() if len(found.boxes)]
    sightings: list[Sighting] = []
    with _memory_freed(), reported(progress, len(times), "outlining objects") as move:
        network = Segmenter.load(source, device)
        done = 0
        for batch in _batches(times):
            masks = network.segment([video[t] for t in batch], [detections[t].boxes for t in batch])
            for t, of_frame in zip(batch, masks, strict=True):
                sightings += _seen(t, detections[t], of_frame, prompts)
            done += len(batch)
            move(done, len(times))
        del network
    return sightings


def _seen(
    t: int, found: Detections, masks: np.ndarray, prompts: Sequence[str]
) -> Iterator[Sighting]:
    """Yield the sightings of a frame, without empty masks and second masks of the same thing."""
    for number, prompt in enumerate(prompts):
        mine = np.flatnonzero((found.prompts == number) & masks.any(axis=(1, 2)))
        for n in mine[keep_best(mask_overlaps(masks[mine]), found.scores[mine], MOST_OVERLAP)]:
            yield Sighting(t, prompt, float(found.scores[n]), found.boxes[n], masks[n])


def _tell_what_is_missing(
    video: Video, prompts: Sequence[str], threshold: float, detections: dict[int, Detections]
) -> None:
    """Warn of prompts that found nothing.

    Raises:
        UserError: none found anything.
    """
    best = np.max([found.best for found in detections.values()], axis=0)
    found_by = {n for found in detections.values() for n in found.prompts.tolist()}
    missing = [prompt for n, prompt in enumerate(prompts) if n not in found_by]
    searched = ", ".join(map(str, list(detections)[:8])) + (", ..." if len(detections) > 8 else "")
    if len(missing) == len(prompts):
        raise UserError(
            f"{video.name}: nothing in frames {searched} is {either(prompts)}, for no box scores "
            f"above {threshold:g} (the best: {best.max():.3f}); lower the threshold, or look in "
            "other frames"
        )
    for prompt in missing:
        log.warning(
            "nothing in frames %s of %s is %r: no box scores above %g (the best: %.3f)",
            *(searched, video.name, prompt, threshold, best[prompts.index(prompt)]),
        )
