"""How much of a feature says where it is, before and after the template is subtracted.

Shapes: K clips, L layers, S tubelet slots, C channels, h x w patches.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
import torch
from torch import Tensor

from tracker.analysis.features import Features
from tracker.analysis.figures import Panel, Row, draw_bars, draw_rows, evenly
from tracker.analysis.moving_objects import moving_objects
from tracker.analysis.report import Figure, Report, Table
from tracker.analysis.similarity import similarities
from tracker.analysis.variability import MEASURES, overlap, tokens_on_object
from tracker.errors import UserError

MOMENTS = 4
SUMMARY = """\
Mean cosine similarity between pairs of tokens: of two clips at the same place (slot, row, column),
of two slots of one clip at the same patch, and of two clips at two different places. Features that
say what is there, and not where, are no more alike at the same place of two clips than anywhere
else. A template of few clips leaves its own noise in what it is subtracted from: with M clips a
similarity of about 1/(M+1) between any two clips at one place is that noise.
"""
Versions = dict[str, Tensor]
"""`raw` and, with a template, `corrected` features of one shape."""


def analyze_positional(features: Features) -> Report:
    """Measure similarities and variability on clips that the template has not seen.

    A template of `fit` averages the first half of the clips; the numbers come from the other half.

    Raises:
        UserError: too few clips or slots, or features that are not finite.
    """
    fitting = features.template is None and features.has_residual
    used = features.settings.clips
    fitted = used // 2 if fitting else 0
    if used - fitted < 2 or (fitting and fitted < 2):
        raise UserError(f"{used} clips are too few; give --clips {4 if fitting else 2} or more")
    features.fit(fitted)
    # Twice `fitted` numbers may be tried for the template: what is measured lies beyond them.
    example, versions = _encode_clips(features, used - fitted, first=2 * fitted)
    numbers = {
        name: [similarities(values[:, place].contiguous()) for place in range(values.shape[1])]
        for name, values in versions.items()
    }
    figures = [_similarity_figure(features.layers, numbers)]
    first = {name: values[0] for name, values in versions.items()}
    figures += _variability_figures(features, "clip", example, first, None)
    scenes, overlaps, object_figures = _measure_objects(features, used - fitted)
    return Report(
        "positional",
        "Position and content",
        SUMMARY,
        features.facts() | {"measured_clips": used - fitted, "object_scenes": scenes},
        {"similarity": numbers, "overlap": overlaps},
        [_similarity_table(features.layers, numbers), _overlap_table(features.layers, overlaps)],
        [*figures, *object_figures],
    )


def _encode_clips(features: Features, count: int, first: int) -> tuple[Tensor, Versions]:
    """Return the first clip `(T, 3, H, W)`, and features `(K, L, S, C, h, w)` of all."""
    clips = features.clips(count, first)
    example = next(clips)
    parts = [_versions(features, clip) for clip in chain([example], clips)]
    return example, {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _versions(features: Features, clip: Tensor) -> Versions:
    volume = features.encode(clip)
    corrected = features.residual(volume)
    return {"raw": volume.features} | ({} if corrected is None else {"corrected": corrected})


def _measure_objects(features: Features, count: int) -> tuple[int, dict, list[Figure]]:
    """Compare variability with the masks of rendered objects over a still picture.

    Returns:
        How many of `count` scenes have tokens both on and off the object; their mean
        numbers[version][measure] per layer; figures of the first scene.
    """
    config = features.backbone.config
    usable = 0
    figures: list[Figure] = []
    found: dict[str, dict[str, list[list[dict[str, float]]]]] = {}
    scenes = moving_objects(count, features.clip_frames, config.input_size, features.settings.seed)
    for clip, mask in scenes:
        versions = {name: values[0] for name, values in _versions(features, clip).items()}
        inside = tokens_on_object(mask, features.clip_slots, features.backbone.grid)
        if not figures:
            figures = _variability_figures(features, "object", clip, versions, mask.numpy())
        if not inside.any() or inside.all():
            continue
        usable += 1
        for name, values in versions.items():
            for measure, vary in MEASURES.items():
                scores = [overlap(layer, inside) for layer in vary(values)]
                found.setdefault(name, {}).setdefault(measure, []).append(scores)
    if not found:
        raise UserError("no rendered object covers a whole patch; use a larger --size")
    means = {
        name: {
            measure: [_mean(layer) for layer in zip(*scenes, strict=True)]
            for measure, scenes in by_measure.items()
        }
        for name, by_measure in found.items()
    }
    return usable, means, figures


def _mean(scores: tuple[dict[str, float], ...]) -> dict[str, float]:
    return {key: float(np.mean([s[key] for s in scores])) for key in scores[0]}


def _variability_figures(
    features: Features, name: str, clip: Tensor, versions: Versions, mask: np.ndarray | None
) -> list[Figure]:
    """Draw raw variability above corrected, beside the frames, for each layer and measure.

    Args:
        features: what the clip was encoded with.
        name: of the clip.
        clip: `(T, 3, H, W)`.
        versions: features `(L, S, C, h, w)` of it.
        mask: `(T, H, W)` bool of the object, or None.
    """
    slots = features.clip_slots
    tubelet = clip.shape[0] // slots
    height, width = clip.shape[-2:]
    outlined = "; outlined: the object" if mask is not None else ""
    figures = []
    for place, layer in enumerate(features.layers):
        for measure, vary in MEASURES.items():
            rows = []
            for version, values in versions.items():
                maps, panels = vary(values[place]).numpy(), []
                for slot in evenly(slots, MOMENTS):
                    t = slot * tubelet
                    outline = None if mask is None else mask[t]
                    frame = clip[t].permute(1, 2, 0).numpy()
                    panels += [Panel(frame, f"frame {t}", outline=outline)]
                    panels += [Panel(maps[slot], f"{measure}, {version}", outline=outline)]
                rows.append(Row(version, panels, f"{measure} variability"))
            title = f"Variability over time ({measure}), {name}, layer {layer}"
            caption = (
                f"Deviation of each token from the mean over time at its patch ({measure}), beside "
                f"the frames: raw features above, position-corrected ones below{outlined}."
            )
            png = draw_rows(title, rows, height / width)
            figures.append(Figure(f"{name}_{measure}_layer{layer}", png, caption))
    return figures


LABELS = {
    "across_clips": "same place,\ntwo clips",
    "across_frames": "same patch,\ntwo frames",
    "random_places": "different\nplaces",
    "positional_share": "variance by\nposition",
}


def _similarity_figure(layers: tuple[int, ...], numbers: dict) -> Figure:
    series = {
        f"{version}, layer {layer}": [entry[key] for key in LABELS]
        for place, layer in enumerate(layers)
        for version, entries in numbers.items()
        for entry in [entries[place]]
    }
    png = draw_bars("Similarity and position", list(LABELS.values()), series, "cosine, or share")
    return Figure("similarity", png, "Mean cosines, and the share of variance by position.")


def _similarity_table(layers: tuple[int, ...], numbers: dict) -> Table:
    rows = [
        (f"layer {layer}, {version}", *(entries[place][key] for key in LABELS))
        for place, layer in enumerate(layers)
        for version, entries in numbers.items()
    ]
    return Table(
        "Mean cosine similarity", ["", *(v.replace("\n", " ") for v in LABELS.values())], rows
    )


def _overlap_table(layers: tuple[int, ...], overlaps: dict) -> Table:
    columns = ["auc", "inside_over_outside", "iou", "iou_chance"]
    rows = [
        (f"layer {layer}, {measure}, {version}", *(entries[place][key] for key in columns))
        for place, layer in enumerate(layers)
        for version, by_measure in overlaps.items()
        for measure, entries in by_measure.items()
    ]
    heads = ["", "AUC", "mean inside / outside", "IoU at the object's share", "IoU by chance"]
    return Table("Does variability sit on the moving object?", heads, rows)
