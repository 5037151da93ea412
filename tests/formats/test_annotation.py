"""CVAT's XML, held against its structure, and COCO's keypoints."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from any_tracks import any_tracks, assert_same_places, seen_places, three_points
from hypothesis import given, settings

from tracker.errors import UserError
from tracker.formats.paths import Paths
from tracker.formats.reading import read_anchors
from tracker.formats.registry import save_tracks
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks

CHILDREN = {
    "annotations": {"version", "meta", "track"},
    "meta": {"task"},
    "task": {
        *("name", "size", "mode", "start_frame", "stop_frame", "frame_filter"),
        *("labels", "original_size"),
    },
    "labels": {"label"},
    "label": {"name", "type", "attributes"},
    "attributes": {"attribute"},
    "original_size": {"width", "height"},
    "track": {"points"},
    "points": {"attribute"},
}
"""What each element may hold, by CVAT's description of version 1.1; others hold text."""

ATTRIBUTES = {
    "track": {"id", "label", "source"},
    "points": {"frame", "keyframe", "outside", "occluded", "points", "z_order"},
}


def check_structure(element: ElementTree.Element, parent: str = "") -> None:
    """Elements and attributes are those that the format has, all of them and no others."""
    allowed = CHILDREN.get(element.tag, set())
    if (parent, element.tag) == ("attributes", "attribute"):
        allowed = {"name", "mutable", "input_type", "default_value", "values"}
    assert {child.tag for child in element} <= allowed
    expected = {"name"} if (parent, element.tag) == ("points", "attribute") else set()
    assert set(element.keys()) == ATTRIBUTES.get(element.tag, expected)
    for child in element:
        check_structure(child, element.tag)


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks(least=1))
def test_cvat_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("cvat") / "a.cvat.xml")
    root = ElementTree.parse(path).getroot()
    check_structure(root)
    assert root.findtext("meta/task/mode") == "interpolation"
    found = {}
    for track in root.iter("track"):
        for shape in track:
            if "1" not in (shape.get("outside"), shape.get("occluded")):
                place = tuple(map(float, shape.get("points").split(",")))
                found[int(track.get("id")), int(shape.get("frame"))] = place
    assert_same_places(found, seen_places(tracks))
    anchors = read_anchors(path)
    names, seen = Paths(tracks).names, ~anchors.hidden
    back = {
        (names.index(name), int(t)): (x, y)
        for (t, x, y), name in zip(anchors.txy[seen], np.array(anchors.names)[seen], strict=True)
    }
    assert_same_places(back, seen_places(tracks))


def test_cvat_tells_how_a_point_is_hidden(tmp_path: Path) -> None:
    root = ElementTree.parse(three_points().save(tmp_path / "a.xml")).getroot()
    task = {child.tag: child.text for child in root.find("meta/task")}
    assert (task["start_frame"], task["stop_frame"], task["size"]) == ("100", "106", "4")
    assert task["frame_filter"] == "step=2"
    states = [
        (shape.get("outside"), shape.get("occluded")) for shape in root.findall("track[2]/points")
    ]
    assert states == [("0", "0"), ("0", "1"), ("0", "0"), ("1", "0")]


SKELETONS = """\
<annotations><version>1.1</version>
<track id="4" label="mouse"><skeleton frame="3" keyframe="1">
<points label="nose" outside="0" occluded="0" keyframe="1" points="10.50,20.25"/>
<points label="tail" outside="1" occluded="0" keyframe="1" points="1,2"/>
</skeleton></track>
<track id="5" label="spot">
<points frame="7" keyframe="1" outside="0" occluded="0" points="1,2;3,4"/>
<points frame="8" keyframe="0" outside="0" occluded="0" points="1,2;3,4"/>
<points frame="9" keyframe="1" outside="1" occluded="0" points="1,2;3,4"/></track>
<track id="6" label="car"><box frame="0" keyframe="1" xtl="0" ytl="0" xbr="1" ybr="1"/></track>
</annotations>
"""


def test_skeletons_and_groups_of_cvat_are_points(tmp_path: Path) -> None:
    (tmp_path / "annotations.xml").write_text(SKELETONS)
    anchors = read_anchors(tmp_path / "annotations.xml")
    assert anchors.names == ("mouse4/nose", "mouse4/tail", *("spot5/1", "spot5/2") * 2)
    assert anchors.txy[:4].tolist() == [[3, 10.5, 20.25], [3, 1, 2], [7, 1, 2], [7, 3, 4]]
    assert anchors.hidden.tolist() == [False, True, False, False, True, True]
    queries = Queries.load(tmp_path / "annotations.xml")
    assert queries[~queries.hidden].names == ("mouse4/nose", "spot5/1", "spot5/2")
    assert [(point.name, point.hidden) for point in queries.points] == [
        ("mouse4/nose", ()),
        ("spot5/1", (9,)),
        ("spot5/2", (9,)),
    ]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("<annotations>", "is not XML"),
        ("<html/>", "CVAT for video 1.1"),
        ("<annotations><image id='0'/></annotations>", "CVAT for video 1.1"),
        (SKELETONS.replace("10.50,20.25", "here"), "cannot be read as cvat"),
    ],
)
def test_other_xml_is_refused(text: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(UserError, match=word):
        Queries.load(tmp_path / "a.xml")


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks(least=1))
def test_coco_reads_back(tracks: Tracks, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("coco") / "a.coco.json")
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    images = {image["id"]: image for image in content["images"]}
    (category,) = content["categories"]
    assert len(category["keypoints"]) == len(tracks)
    found = {}
    for entry in content["annotations"]:
        assert entry["category_id"] == category["id"] and entry["iscrowd"] == 0
        assert (images[entry["image_id"]]["width"], images[entry["image_id"]]["height"]) == (
            tracks.size
        )
        triples = np.array(entry["keypoints"]).reshape(-1, 3)
        assert entry["num_keypoints"] == (triples[:, 2] > 0).sum()
        assert (triples[triples[:, 2] == 0] == 0).all()
        x, y, width, height = entry["bbox"]
        for point, (px, py, state) in enumerate(triples):
            if state > 0:
                assert -1e-3 <= px - x <= width + 1e-3 and -1e-3 <= py - y <= height + 1e-3
            if state == 2:
                found[point, entry["image_id"]] = (px + 0.5, py + 0.5)
    assert_same_places(found, seen_places(tracks))
    assert content["info"]["fps"] == tracks.fps * tracks.stride
