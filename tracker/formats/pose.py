"""DeepLabCut and SLEAP: points are the body parts of one animal.

- `deeplabcut`: the table that DeepLabCut writes after it analysed a video, as CSV and as H5: a row
  for each frame, and x, y, likelihood of each body part. Origin top left, the centre of the first
  pixel at 0; frames from 0. In hidden frames x and y are empty; the likelihood is the tracker's
  confidence. The format has no rate. Read back, CSV of labels (`CollectedData_*.csv`) or of an
  analysis: each place is an anchor, hidden where its likelihood is below 0.6.
- `sleap`: predicted instances, through the library `sleap-io`. Origin top left, the centre of the
  first pixel at 0; frames from 0. Hidden points keep their place, and are marked as not visible.
  The rate stands in the provenance. Read back, each place is an anchor; those that people placed,
  where there are any.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracker.errors import UserError
from tracker.extras import needs
from tracker.formats.anchors import Anchors
from tracker.formats.paths import CENTRE, Paths, number

if TYPE_CHECKING:
    import pandas as pd

SCORER = "vjepa-tracker"
DEEPLABCUT_CUTOFF = 0.6
"""Likelihood below which DeepLabCut itself, by default, takes a point for hidden."""


def write_deeplabcut(paths: Paths, path: Path) -> None:
    """Write `.csv`, or `.h5` as pandas reads it; see `tracker.formats.pose`."""
    if path.suffix == ".h5":
        _deeplabcut_table(paths).to_hdf(path, key="df_with_missing", format="table", mode="w")
        return
    xy = paths.centred()
    names = paths.names
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["scorer", *[SCORER] * (3 * len(names))])
        writer.writerow(["bodyparts", *(name for name in names for _ in range(3))])
        writer.writerow(["coords", *["x", "y", "likelihood"] * len(names)])
        for t, frame in enumerate(paths.frames):
            row = [str(frame)]
            for point in range(len(names)):
                placed = paths.seen[point, t]
                row += map(number, xy[point, t]) if placed else ("", "")
                row.append(f"{paths.confidence[point, t]:.6g}")
            writer.writerow(row)


def _deeplabcut_table(paths: Paths) -> pd.DataFrame:
    import pandas as pd

    columns = pd.MultiIndex.from_product(
        [[SCORER], paths.names, ["x", "y", "likelihood"]],
        names=["scorer", "bodyparts", "coords"],
    )
    placed = np.where(paths.seen[..., None], paths.centred(), np.nan)
    values = np.concatenate([placed, paths.confidence[..., None]], axis=2)
    rows = values.transpose(1, 0, 2).reshape(len(paths.frames), -1)
    return pd.DataFrame(rows, index=paths.frames, columns=columns)


def read_deeplabcut(path: Path) -> Anchors:
    """Read a CSV of labels or of an analysed video; see `tracker.formats.pose`.

    Raises:
        UserError: its columns or rows are not those of DeepLabCut.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.reader(file) if line]
    titles = ("scorer", "individuals", "bodyparts", "coords")
    head = {line[0]: line for line in lines[:4] if line[0] in titles}
    if not head.keys() >= {"scorer", "bodyparts", "coords"}:
        raise UserError(f"{path} does not begin with the rows scorer, bodyparts, coords")
    animals = head.get("individuals", [""] * len(head["coords"]))
    several = len(set(filter(None, animals[1:]))) > 1
    columns: dict[str, dict[str, int]] = {}
    for column, coordinate in enumerate(head["coords"]):
        if column and coordinate in ("x", "y", "likelihood"):
            animal = f"{animals[column]}/" if several else ""
            name = animal + head["bodyparts"][column]
            columns.setdefault(name, {})[coordinate] = column
    first = min((place for spot in columns.values() for place in spot.values()), default=1)
    return Anchors.of(_deeplabcut_rows(path, lines[len(head) :], first, columns))


def _deeplabcut_rows(
    path: Path, lines: list[list[str]], first: int, columns: dict[str, dict[str, int]]
) -> Iterator[tuple[float, float, float, str, bool]]:
    """Yield frame, x, y, name, hidden for each cell pair that is filled."""
    for line in lines:
        # A frame is a number, or the picture of a label: labeled-data/video/img0042.png
        digits = re.findall(r"\d+", Path(line[first - 1]).stem.removesuffix(".0"))
        if not digits:
            raise UserError(f"{path}: {line[first - 1]!r} names no frame; its name has no number")
        for name, spot in columns.items():
            x, y = (float(line[spot[axis]] or "nan") for axis in "xy")
            if not np.isfinite([x, y]).all():
                continue
            likelihood = float(line[spot["likelihood"]] or "nan") if "likelihood" in spot else 1.0
            hidden = not likelihood >= DEEPLABCUT_CUTOFF
            yield int(digits[-1]), x + CENTRE, y + CENTRE, name, hidden


def write_sleap(paths: Paths, path: Path) -> None:
    """Write predicted instances of one skeleton; see `tracker.formats.pose`."""
    import sleap_io as sio

    width, height = paths.size
    frames = int(paths.frames[-1]) + 1 if len(paths.frames) else 0
    video = sio.Video(
        filename="video.mp4",
        backend_metadata={"shape": (frames, height, width, 3), "fps": paths.fps},
        open_backend=False,
    )
    skeleton = sio.Skeleton(nodes=list(paths.names), name="points")
    track = sio.Track(SCORER)
    xy = np.where(paths.known[..., None], paths.centred(), np.nan)
    labelled = []
    for t, frame in enumerate(paths.frames):
        if not paths.known[:, t].any():
            continue
        scores = paths.confidence[:, t]
        instance = sio.PredictedInstance.from_numpy(
            xy[:, t], skeleton, point_scores=scores, score=float(scores.mean()), track=track
        )
        instance.points["visible"] = paths.seen[:, t]
        labelled.append(sio.LabeledFrame(video=video, frame_idx=int(frame), instances=[instance]))
    labels = sio.Labels(labelled, videos=[video], skeletons=[skeleton], tracks=[track])
    labels.provenance["fps"] = paths.fps
    sio.save_slp(labels, str(path), verbose=False)


def read_sleap(path: Path) -> Anchors:
    """Read the instances of a `.slp` file; see `tracker.formats.pose`.

    Raises:
        UserError: it is of several videos, or the extra `formats` is not installed.
    """
    with needs("formats"):
        import sleap_io as sio
    labels = sio.load_slp(str(path), open_videos=False)
    videos = {id(frame.video) for frame in labels.labeled_frames}
    if len(videos) > 1:
        raise UserError(f"{path} labels {len(videos)} videos; save the labels of one alone")
    placed_by_hand = any(frame.user_instances for frame in labels.labeled_frames)
    rows = []
    for frame in labels.labeled_frames:
        instances = frame.user_instances if placed_by_hand else frame.predicted_instances
        for count, instance in enumerate(instances):
            animal = instance.track.name if instance.track else str(count)
            prefix = f"{animal}/" if len(instances) > 1 else ""
            for node, (x, y), visible in zip(
                instance.skeleton.node_names,
                instance.points["xy"].tolist(),
                instance.points["visible"].tolist(),
                strict=True,
            ):
                if np.isfinite([x, y]).all():
                    place = (frame.frame_idx, x + CENTRE, y + CENTRE)
                    rows.append((*place, prefix + node, not visible))
    return Anchors.of(rows)
