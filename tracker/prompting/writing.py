"""Files of found objects: masks as data sets store them, a list, and a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tracker.files import atomic_path
from tracker.points.drawing.colours import group_colours
from tracker.points.drawing.pictures import write_image
from tracker.prompting.drawing import object_sheet
from tracker.prompting.objects import FoundObjects
from tracker.video.video import Video

LIST = "objects.json"
SHEET = "objects.png"


def write_objects(found: FoundObjects, folder: str | Path, video: Video) -> list[Path]:
    """Write what was found into a folder, each file all of it or nothing.

    `00012.png` and the like are palette images of frames, as DAVIS has them: object 1 is 1, and so
    on, 0 is none of them; where masks overlap, the smaller one is on top. `objects.json` says what
    each is and where it was found, `objects.png` shows it.

    Args:
        found: at most 255 objects.
        folder: made where it is missing.
        video: that they were found in.

    Returns:
        The files.

    Raises:
        UserError: the operating system refused.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for t in found.frames:
        if found.seen_in(t):
            written.append(_write_labels(folder / mask_name(t), label_image(found, t)))
    with atomic_path(folder / LIST) as partial:
        partial.write_text(json.dumps(_as_json(found, video), indent=2) + "\n")
    return [*written, folder / LIST, write_image(folder / SHEET, object_sheet(video, found))]


def mask_name(t: int) -> str:
    """Return the name of a frame's masks."""
    return f"{t:05d}.png"


def label_image(found: FoundObjects, t: int) -> np.ndarray:
    """Return the masks of a frame as `(H, W) uint8`: the number of the object, from 1, or 0."""
    seen = sorted(found.seen_in(t), key=lambda pair: -int(pair[1].mask.sum()))
    labels = np.zeros(seen[0][1].mask.shape, np.uint8)
    for number, sighting in seen:
        labels[sighting.mask] = number + 1
    return labels


def _write_labels(path: Path, labels: np.ndarray) -> Path:
    from PIL import Image

    image = Image.fromarray(labels)
    # A palette is put on the gray image: converting it would choose other numbers.
    image.putpalette([0, 0, 0, *group_colours(255).ravel().tolist()])
    with atomic_path(path) as partial:
        image.save(partial, "PNG")
    return path


def _as_json(found: FoundObjects, video: Video) -> dict[str, object]:
    objects = [
        {
            "name": item.name,
            "prompt": item.prompt,
            "label": number,
            "sightings": [
                {
                    "frame": sighting.t,
                    "score": round(sighting.score, 4),
                    "box": [round(float(side), 2) for side in sighting.box],
                    "mask": mask_name(sighting.t),
                }
                for sighting in item.sightings
            ],
        }
        for number, item in enumerate(found, start=1)
    ]
    return {"size": list(video.size), "frames": list(found.frames), "objects": objects}
