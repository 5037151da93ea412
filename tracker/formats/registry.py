"""Formats by name: who writes them, and the conventions that each one keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from tracker.errors import UserError
from tracker.extras import needs
from tracker.files import atomic_path
from tracker.formats import annotation, benchmarks, blender, compositing, pose, science, tables
from tracker.formats.paths import Paths
from tracker.points.tracks import Tracks


@dataclass(frozen=True)
class Format:
    """A file format of some program.

    Attributes:
        write: writes one of its files; the path's suffix says which.
        suffixes: of the files that it has, all of them unless one is named.
        summary: what it is, in a few words.
        origin: corner of the frame where x and y are 0.
        centre: where the centre of the first pixel lies, in pixels from there: 0.5 or 0.
        hidden: what becomes of frames in which a point is hidden.
        rate: where frames per second are kept, if anywhere.
        first_frame: number of a video's first frame, None where frames have no numbers.
        modules: of the extra `formats` that all files but CSV need.
    """

    write: Callable[[Paths, Path], None]
    suffixes: tuple[str, ...]
    summary: str
    origin: str
    centre: str
    hidden: str
    rate: str
    first_frame: int | None = 0
    modules: tuple[str, ...] = ()

    @property
    def convention(self) -> str:
        """One line for those who must fit it to other data."""
        first = (
            "no frame numbers" if self.first_frame is None else f"frames from {self.first_frame}"
        )
        return (
            f"{self.origin}, pixel centre {self.centre}, {first}, hidden: {self.hidden}, "
            f"rate: {self.rate}"
        )


FORMATS = {
    "csv": Format(
        tables.write_csv,
        (".csv",),
        "table, a row for each point and frame",
        origin="top left",
        centre="0.5",
        hidden="marked, guess kept",
        rate="column fps",
    ),
    "csv-wide": Format(
        tables.write_wide_csv,
        (".wide.csv",),
        "table, a row for each frame",
        origin="top left",
        centre="0.5",
        hidden="marked, guess kept",
        rate="column time",
    ),
    "parquet": Format(
        tables.write_parquet,
        (".parquet",),
        "rows of to_pandas()",
        origin="top left",
        centre="0.5",
        hidden="marked, guess kept",
        rate="metadata",
    ),
    "json": Format(
        tables.write_json,
        (".json",),
        "everything, by name",
        origin="top left",
        centre="0.5",
        hidden="marked, guess kept",
        rate="fps",
    ),
    "nuke": Format(
        compositing.write_nuke,
        (".nk",),
        "Nuke, Tracker4 node",
        origin="bottom left",
        centre="0.5",
        hidden="no key, track off",
        rate="Root fps",
        first_frame=1,
    ),
    "nuke-ascii": Format(
        compositing.write_nuke_ascii,
        (".nuke.txt",),
        "Nuke, Import Time+value Ascii",
        origin="bottom left",
        centre="0.5",
        hidden="guess kept",
        rate="a comment",
        first_frame=1,
    ),
    "ae": Format(
        compositing.write_after_effects,
        (".ae.txt",),
        "After Effects, keyframes to paste",
        origin="top left",
        centre="0.5",
        hidden="no key",
        rate="Units Per Second",
    ),
    "blender": Format(
        blender.write_blender,
        (".blender.py",),
        "Blender, script that makes markers",
        origin="bottom left",
        centre="0.5",
        hidden="marker muted",
        rate="compared with the clip's",
        first_frame=1,
    ),
    "syntheyes": Format(
        compositing.write_syntheyes,
        (".syntheyes.txt",),
        "SynthEyes, 2-D tracker paths",
        origin="top left, -1..1",
        centre="-1",
        hidden="no line",
        rate="none",
    ),
    "deeplabcut": Format(
        pose.write_deeplabcut,
        (".deeplabcut.csv", ".deeplabcut.h5"),
        "DeepLabCut, analysed video",
        origin="top left",
        centre="0",
        hidden="empty, low likelihood",
        rate="none",
        modules=("pandas", "tables"),
    ),
    "sleap": Format(
        pose.write_sleap,
        (".slp",),
        "SLEAP, predicted instances",
        origin="top left",
        centre="0",
        hidden="not visible, guess kept",
        rate="provenance",
        modules=("sleap_io",),
    ),
    "cvat": Format(
        annotation.write_cvat,
        (".cvat.xml",),
        "CVAT for video 1.1",
        origin="top left",
        centre="0.5",
        hidden="occluded or outside",
        rate="none",
    ),
    "coco": Format(
        annotation.write_coco,
        (".coco.json",),
        "COCO keypoints, an image for each frame",
        origin="top left",
        centre="0",
        hidden="visibility 1, guess kept",
        rate="info",
    ),
    "napari": Format(
        science.write_napari,
        (".napari.csv",),
        "napari, rows of a Tracks layer",
        origin="top left",
        centre="0",
        hidden="no row",
        rate="none",
    ),
    "colmap": Format(
        science.write_colmap,
        (".colmap.db",),
        "COLMAP, keypoints and matches",
        origin="top left",
        centre="0.5",
        hidden="no keypoint",
        rate="none",
    ),
    "tapvid": Format(
        benchmarks.write_tapvid,
        (".pkl",),
        "TAP-Vid, points and occluded",
        origin="top left, 0..1",
        centre="0.5",
        hidden="occluded, guess kept",
        rate="none",
        first_frame=None,
    ),
    "vot": Format(
        benchmarks.write_vot,
        (".vot.zip",),
        "VOT, output_NAME.txt for each point",
        origin="top left",
        centre="0",
        hidden="guess kept, unmarked",
        rate="none",
    ),
    "lerobot": Format(
        tables.write_lerobot,
        (".lerobot.parquet",),
        "LeRobot, feature observation.points",
        origin="top left",
        centre="0.5",
        hidden="marked, guess kept",
        rate="timestamp",
    ),
}
"""What tracks can be written as, by the names of `convert --to` and `track --save`."""


def find_format(name: str) -> Format:
    """Return the format of a name.

    Raises:
        UserError: there is none; the nearest is named.
    """
    if name in FORMATS:
        return FORMATS[name]
    near = get_close_matches(name, FORMATS, n=1, cutoff=0.4)
    hint = f"the nearest is {near[0]}; " if near else ""
    raise UserError(f"no format is called {name!r}; {hint}there are {', '.join(FORMATS)}")


def format_of(path: str | Path) -> str | None:
    """Return the name of the format that a file's name tells, None where it tells none.

    The longest suffix counts, as in `a.wide.csv`; `a.xml` will do where one format alone ends so.
    """
    file = Path(path).name.lower()
    whole = {
        suffix: name
        for name, known in FORMATS.items()
        for suffix in known.suffixes
        if file.endswith(suffix)
    }
    if whole:
        return whole[max(whole, key=len)]
    last = Path(file).suffix
    ending = {
        name
        for name, known in FORMATS.items()
        for suffix in known.suffixes
        if last and suffix.endswith(last)
    }
    return ending.pop() if len(ending) == 1 else None


def check_installed(name: str, path: Path) -> None:
    """Tell at once where a file of a format needs what is not installed.

    Raises:
        UserError: it does; the extra is named.
    """
    for module in FORMATS[name].modules if path.suffix != ".csv" else ():
        if find_spec(module) is None:
            with needs("formats"):
                raise ModuleNotFoundError(name=module)


def save_tracks(
    tracks: Tracks, path: str | Path, name: str | None = None, first_frame: int | None = None
) -> Path:
    """Write tracks for another program, all of it or nothing.

    Args:
        tracks: to write.
        path: file to write; replaced where it is there.
        name: of the format; None goes by the path's suffix.
        first_frame: number that the program gives to the video's first frame; None takes the usual.

    Returns:
        The path.

    Raises:
        UserError: no such format, its extra is not installed, or the path cannot be written.
    """
    path = Path(path)
    name = name or format_of(path)
    if name is None:
        raise UserError(
            f"tracks can be saved as .npz or .csv, or as {', '.join(FORMATS)}; the name "
            f"{path.name} tells none of them: give format="
        )
    known = find_format(name)
    if first_frame is not None and known.first_frame is None:
        raise UserError(f"frames have no numbers in {name}; leave the first frame out")
    first = (known.first_frame or 0) if first_frame is None else first_frame
    check_installed(name, path)
    with atomic_path(path) as partial:
        known.write(Paths(tracks, first), partial)
    return path
