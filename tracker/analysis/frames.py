"""The report on key frames: which frames of a clip matter, drawn over time."""

from __future__ import annotations

import numpy as np

from tracker.analysis.features import Settings, Step
from tracker.analysis.figures import Panel, Row, draw_lines, draw_rows
from tracker.analysis.keyframes import (
    Keyframes,
    check_count,
    clip_keyframes,
    open_or_explain,
    uniform_keyframes,
    video_keyframes,
)
from tracker.analysis.report import Figure, Report, Table
from tracker.errors import UserError
from tracker.video.video import Video

SHOWN_CLIPS = 4
SUMMARY = """\
Importance of a frame: how far its features lie from their mean over the clip (root mean square
over channels, mean over patches, of the residual, mean over layers), as a share of the clip's sum.
Key frames are taken from the most important one on, at least T/(2k) frames apart. Both frames of
a tubelet share one value; the second is taken only when no first one is left. A template of few
clips leaves noise that repeats with the window and, in a video that hardly changes, outweighs what
does change: give --template a file fitted on many clips, or compare with the raw curve.
"""


def analyze_frames(settings: Settings, video: Video | None, k: int, step: Step) -> Report:
    """Choose key frames of a video, or of `settings.clips` clips of the source.

    Without a usable checkpoint the frames of a video are spread evenly, and the report says so.

    Raises:
        UserError: bad settings, fewer frames than `k`, or features that are not finite.
    """
    features, reason = open_or_explain(settings)
    if features is None:
        if video is None:
            raise UserError(reason)
        chosen = Keyframes(uniform_keyframes(len(video), k), {}, [], reason)
        facts: dict[str, object] = {"backbone": settings.backbone, "fallback": reason}
        return _report(facts, {video.name: chosen}, [_strip(video.name, _read(video, chosen))])
    features.step = step
    if video is not None:
        features.fit(settings.clips)
        chosen = video_keyframes(features, video, k)
        pictures = _read(video, chosen)
        results = {video.name: chosen}
        figures = [_curve(video.name, chosen), _strip(video.name, pictures)]
        return _report(features.facts(), results, figures)
    check_count(k, features.clip_frames)
    features.fit(settings.clips, first=2 * settings.clips)
    results, figures = {}, []
    for number, clip in enumerate(features.clips(settings.clips)):
        name = f"clip {number}"
        results[name] = clip_keyframes(features, clip, list(range(len(clip))), k)
        if number < SHOWN_CLIPS:
            pictures = {t: clip[t].permute(1, 2, 0).numpy() for t in results[name].numbers}
            figures += [_curve(name, results[name]), _strip(name, pictures)]
    return _report(features.facts(), results, figures)


def _read(video: Video, chosen: Keyframes) -> dict[int, np.ndarray]:
    return {t: video.read(t, t + 1)[0] / np.float32(255) for t in chosen.numbers}


def _report(
    facts: dict[str, object], results: dict[str, Keyframes], figures: list[Figure]
) -> Report:
    numbers = {
        name: {
            "method": "uniform" if result.fallback else "importance",
            "frames": result.numbers,
            "times": result.times,
            "importance": {v: curve.tolist() for v, curve in result.importance.items()},
        }
        for name, result in results.items()
    }
    rows = [
        (name, str(numbers[name]["method"]), ", ".join(map(str, result.numbers)))
        for name, result in results.items()
    ]
    table = Table("Key frames", ["clip", "chosen by", "frames"], rows)
    return Report(
        "frames", "Temporal importance", SUMMARY, facts, {"clips": numbers}, [table], figures
    )


def _curve(name: str, chosen: Keyframes) -> Figure:
    png = draw_lines(
        f"Importance of frames, {name}", chosen.times, chosen.importance, chosen.numbers
    )
    return Figure(_file_name("importance", name), png, "Raw and residual importance; sum 1.")


def _strip(name: str, pictures: dict[int, np.ndarray]) -> Figure:
    panels = [Panel(picture, f"frame {t}") for t, picture in pictures.items()]
    height, width = panels[0].picture.shape[:2]
    png = draw_rows(f"Key frames, {name}", [Row("", panels)], height / width)
    return Figure(_file_name("keyframes", name), png, "The chosen frames, in temporal order.")


def _file_name(kind: str, name: str) -> str:
    return f"{kind}_{''.join(c if c.isalnum() else '_' for c in name)}"
