"""CVAT and COCO.

- `cvat`: the XML 1.1 of video tasks. Each point is a track of the label `point`, whose attribute
  `name` holds its name. Origin top left, the corner of the first pixel at 0; frames from 0. A
  hidden point is `occluded` where the tracker has a guess inside the frame, else `outside`. The
  format has no rate. Read back, each keyframe is an anchor, hidden where it is occluded or outside.
- `coco`: keypoints. Each frame is an image, all points together are one annotation of it. Origin
  top left, the centre of the first pixel at 0; frames from 0. Visibility is 2 where a point is
  seen, 1 where it is hidden at a known place, else 0. The rate stands in `info`.
"""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tracker.errors import UserError
from tracker.formats.anchors import Anchors
from tracker.formats.paths import Paths, number
from tracker.points.geometry import inside_frame

LABEL = "point"


def write_cvat(paths: Paths, path: Path) -> None:
    """Write annotations of a video task; see `tracker.formats.annotation`."""
    root = ElementTree.Element("annotations")
    _text(root, "version", "1.1")
    _write_task(ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task"), paths)
    for point, name in enumerate(paths.names):
        track = ElementTree.SubElement(root, "track", id=str(point), label=LABEL, source="auto")
        place = None
        for t, frame in enumerate(paths.frames):
            inside = paths.known[point, t] and inside_frame(paths.xy[point, t], paths.size)
            if paths.known[point, t]:
                place = ",".join(map(number, paths.xy[point, t]))
            if place is None:
                continue
            seen = bool(paths.seen[point, t])
            shape = ElementTree.SubElement(
                track,
                "points",
                frame=str(frame),
                keyframe="1",
                outside=str(int(not seen and not inside)),
                occluded=str(int(not seen and inside)),
                points=place,
                z_order="0",
            )
            ElementTree.SubElement(shape, "attribute", name="name").text = name
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _write_task(task: ElementTree.Element, paths: Paths) -> None:
    frames = paths.frames
    first, last = (int(frames[0]), int(frames[-1])) if len(frames) else (0, 0)
    _text(task, "name", "vjepa-tracker")
    _text(task, "size", str(len(frames)))
    _text(task, "mode", "interpolation")
    _text(task, "start_frame", str(first))
    _text(task, "stop_frame", str(last))
    stride = paths.tracks.stride
    _text(task, "frame_filter", f"step={stride}" if stride > 1 else "")
    label = ElementTree.SubElement(ElementTree.SubElement(task, "labels"), "label")
    _text(label, "name", LABEL)
    _text(label, "type", "points")
    attribute = ElementTree.SubElement(ElementTree.SubElement(label, "attributes"), "attribute")
    for tag, value in [
        ("name", "name"),
        ("mutable", "False"),
        ("input_type", "text"),
        ("default_value", ""),
        ("values", ""),
    ]:
        _text(attribute, tag, value)
    size = ElementTree.SubElement(task, "original_size")
    for tag, side in zip(("width", "height"), paths.size, strict=True):
        _text(size, tag, str(side))


def _text(parent: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(parent, tag).text = text


def read_cvat(path: Path) -> Anchors:
    """Read the points of a video task, those of skeletons as well.

    Raises:
        UserError: it is no XML, or not of a video task.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise UserError(f"{path} is not XML ({error})") from error
    if root.tag != "annotations" or root.find("image") is not None:
        raise UserError(f"{path} is not a video's; export the task as 'CVAT for video 1.1'")
    rows = []
    for number_, track in enumerate(root.iter("track")):
        for shape in track:
            if shape.get("keyframe", "1") == "0":
                continue
            frame = int(shape.get("frame", "-1"))
            marks = shape.findall("points") if shape.tag == "skeleton" else [shape]
            for mark in marks:
                if mark.tag != "points":
                    continue
                hidden = "1" in (mark.get("outside"), mark.get("occluded"))
                name = _name_of(mark, track, number_, shape.tag == "skeleton")
                places = mark.get("points", "").split(";")
                for count, place in enumerate(places):
                    x, y = map(float, place.split(","))
                    suffix = f"/{count + 1}" if len(places) > 1 else ""
                    rows.append((frame, x, y, name + suffix, hidden))
    return Anchors.of(rows)


def _name_of(
    mark: ElementTree.Element, track: ElementTree.Element, number_: int, of_skeleton: bool
) -> str:
    """Return what a point is called: its attribute `name`, or its label and the track's id."""
    for attribute in mark.findall("attribute"):
        if attribute.get("name") == "name" and attribute.text:
            return attribute.text
    whose = f"{track.get('label', '')}{track.get('id', number_)}"
    return f"{whose}/{mark.get('label', '')}" if of_skeleton else whose


def write_coco(paths: Paths, path: Path) -> None:
    """Write keypoints, an annotation for each frame; see `tracker.formats.annotation`."""
    width, height = paths.size
    xy = paths.centred()
    images, annotations = [], []
    for t, frame in enumerate(paths.frames.tolist()):
        name = f"frame_{frame:06d}.png"
        images.append({"id": frame, "file_name": name, "width": width, "height": height})
        known = paths.known[:, t]
        states = np.where(paths.seen[:, t], 2, known.astype(int))
        keypoints = np.column_stack([np.where(known[:, None], xy[:, t], 0).round(4), states])
        low, extent = np.zeros(2), np.zeros(2)
        if known.any():
            low = xy[known, t].min(axis=0)
            extent = xy[known, t].max(axis=0) - low
        annotations.append(
            {
                "id": frame,
                "image_id": frame,
                "category_id": 1,
                "keypoints": [int(v) if i % 3 == 2 else v for i, v in enumerate(keypoints.ravel())],
                "num_keypoints": int(known.sum()),
                "scores": paths.confidence[:, t].round(6).tolist(),
                "bbox": [*low.round(4).tolist(), *extent.round(4).tolist()],
                "area": float(extent.prod().round(4)),
                "iscrowd": 0,
            }
        )
    category = {
        "id": 1,
        "name": "points",
        "supercategory": "points",
        "keypoints": list(paths.names),
        "skeleton": [],
    }
    content = {
        "info": {"description": "points followed by vjepa-tracker", "fps": paths.fps},
        "images": images,
        "annotations": annotations,
        "categories": [category],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
