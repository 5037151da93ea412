"""Formats by name and by suffix; what fails leaves nothing behind."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from any_tracks import three_points

from tracker.errors import UserError
from tracker.formats import blender, tables
from tracker.formats.paths import Paths
from tracker.formats.registry import FORMATS, find_format, format_of, save_tracks

ROOT = Path(__file__).resolve().parents[2]


def test_all_formats_are_there() -> None:
    assert set(FORMATS) == {
        *("csv", "csv-wide", "parquet", "json", "nuke", "nuke-ascii", "ae", "blender"),
        *("syntheyes", "deeplabcut", "sleap", "cvat", "coco", "napari", "colmap", "tapvid"),
        *("vot", "lerobot"),
    }


def test_no_two_formats_share_a_suffix() -> None:
    suffixes = [suffix for known in FORMATS.values() for suffix in known.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    for name, known in FORMATS.items():
        for suffix in known.suffixes:
            assert format_of(f"tracks{suffix}") == name


@pytest.mark.parametrize(
    ("file", "name"),
    [
        *[("a.csv", "csv"), ("a.b.csv", "csv"), ("A.NK", "nuke"), ("a.xml", "cvat")],
        *[("a.h5", "deeplabcut"), ("a.py", "blender"), ("a.db", "colmap"), ("a.zip", "vot")],
        *[("a.txt", None), ("a.doc", None), ("a", None), ("a.parquet", "parquet")],
    ],
)
def test_a_name_tells_the_format(file: str, name: str | None) -> None:
    assert format_of(file) == name


def test_an_unknown_format_names_the_nearest() -> None:
    with pytest.raises(UserError, match="'nuk'; the nearest is nuke; there are csv, "):
        find_format("nuk")
    with pytest.raises(UserError, match=r"'xyz123'; there are csv"):
        find_format("xyz123")


@pytest.mark.parametrize("name", FORMATS)
def test_a_module_and_the_guide_state_each_convention(name: str) -> None:
    known = FORMATS[name]
    module = sys.modules[known.write.__module__]
    said = " ".join(module.__doc__.split())
    if module is not blender and module is not tables:  # those have one convention throughout
        said = said.split(f"- `{name}`:")[1].split(" - `")[0]
        said = said.replace("As above", "Origin bottom left, pixel; frames from 1; rate")
    numbers = {0: "rames from 0|sequence from 0", 1: "rames from 1", None: "frames are those"}
    for word in ("rigin|shares|from -1 to 1", "pixel", "idden", "rate", numbers[known.first_frame]):
        assert re.search(word, said), (name, word)
    (row,) = re.findall(rf"^\| `{name}` \|(.*)\|$", (ROOT / "docs/formats.md").read_text(), re.M)
    cells = [cell.strip() for cell in row.split("|")]
    first_frame = "-" if known.first_frame is None else str(known.first_frame)
    endings = ", ".join(f"`{suffix}`" for suffix in known.suffixes)
    expected = [endings, known.origin, known.centre, first_frame, known.hidden, known.rate]
    assert cells[1:] == expected


def test_points_have_names_of_their_own() -> None:
    tracks = replace(three_points(), names=["eye", "eye", ""])
    assert Paths(tracks).names == ("eye", "eye_2", "point_2")
    assert Paths(replace(tracks, names=None)).names == ("point_0", "point_1", "point_2")
    odd = replace(tracks, names=["a b", "a_b", "é{"])
    assert Paths(odd).names_of(str.isalnum) == ("a_b", "a_b_2", "é_")


def test_frames_have_numbers() -> None:
    paths = Paths(three_points(), first_frame=1001)
    assert paths.frames.tolist() == [1101, 1103, 1105, 1107]
    assert paths.fps == 24


def test_an_ambiguous_name_needs_a_format(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.txt tells none of them: give format="):
        three_points().save(tmp_path / "a.txt")
    assert three_points().save(tmp_path / "a.txt", format="ae").is_file()


def test_frames_without_numbers_have_no_first(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="frames have no numbers in tapvid"):
        three_points().save(tmp_path / "a.pkl", first_frame=1)


@pytest.mark.parametrize("name", FORMATS)
def test_what_fails_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(paths: Paths, path: Path) -> None:
        path.write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setitem(FORMATS, name, replace(FORMATS[name], write=fail))
    target = tmp_path / f"a{FORMATS[name].suffixes[0]}"
    target.write_text("before")
    with pytest.raises(UserError, match="No space left"):
        save_tracks(three_points(), target, name)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        (target.name, "before")
    ]


@pytest.mark.parametrize("name", [name for name, known in FORMATS.items() if known.modules])
def test_a_missing_extra_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in FORMATS[name].modules:
        monkeypatch.setitem(sys.modules, module, None)
    suffix = FORMATS[name].suffixes[-1]
    with pytest.raises(UserError, match=r"pip install 'vjepa-tracker\[formats\]'"):
        three_points().save(tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())
