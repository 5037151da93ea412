"""What is written of objects reads as masks do, and its picture shows each in its colour."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_prompting import square

from tracker.points.drawing.colours import group_colours
from tracker.points.masks import mask_objects
from tracker.prompting.drawing import object_sheet
from tracker.prompting.objects import FoundObjects
from tracker.prompting.sightings import Sighting
from tracker.prompting.writing import write_objects
from tracker.video.loading import load_video
from tracker.video.video import Video

SIZE = (96, 80)


@pytest.fixture(scope="module")
def video(make_frames: Callable) -> Video:
    return load_video(make_frames(8, SIZE))


def sighting(t: int, prompt: str, score: float, *place: int) -> Sighting:
    left, top, side = place
    box = np.array([left, top, left + side, top + side], np.float32)
    return Sighting(t, prompt, score, box, square(SIZE, *place))


@pytest.fixture(scope="module")
def found() -> FoundObjects:
    groups = [
        [sighting(0, "a cat", 0.4, 5, 5, 40), sighting(6, "a cat", 0.8, 10, 5, 40)],
        [sighting(0, "a cat", 0.3, 50, 40, 30)],
        [sighting(6, "the dog", 0.6, 20, 15, 10)],
    ]
    return FoundObjects.of(groups, [0, 3, 6])


def test_objects_are_numbered_by_their_noun(found: FoundObjects) -> None:
    assert [item.name for item in found] == ["cat 1", "cat 2", "dog 1"]
    assert [item.best.t for item in found] == [6, 0, 6] and found[2].prompt == "the dog"
    assert len(found) == 3 and [number for number, _ in found.seen_in(6)] == [0, 2]


def test_points_lie_in_the_best_mask(found: FoundObjects) -> None:
    queries = found.queries(3)
    assert len(queries) == 27 and queries.names[9] == "cat 2/1" and queries.names[-1] == "dog 1/9"
    assert queries.t.tolist() == [6] * 9 + [0] * 9 + [6] * 9
    for number, item in enumerate(found):
        x, y = queries.xy[9 * number : 9 * number + 9].astype(int).T
        assert item.best.mask[y, x].all()


def test_masks_are_files_that_masks_are_read_from(
    found: FoundObjects, video: Video, tmp_path: Path
) -> None:
    paths = write_objects(found, tmp_path / "objects", video)
    names = ["00000.png", "00006.png", "objects.json", "objects.png"]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in (tmp_path / "objects").iterdir()) == names
    first = mask_objects(paths[0], SIZE)
    assert list(first) == ["object1", "object2"]
    np.testing.assert_array_equal(first["object2"], found[1].best.mask)
    later = mask_objects(paths[1], SIZE)
    assert list(later) == ["object1", "object3"]
    # The dog, which is smaller, stands before the cat.
    np.testing.assert_array_equal(later["object3"], found[2].best.mask)
    np.testing.assert_array_equal(later["object1"], found[0].best.mask & ~found[2].best.mask)
    told = json.loads(paths[2].read_text())
    assert told["size"] == list(SIZE) and told["frames"] == [0, 3, 6]
    cat = told["objects"][0]
    assert (cat["name"], cat["prompt"], cat["label"]) == ("cat 1", "a cat", 1)
    assert cat["sightings"][1] == {
        **{"frame": 6, "score": 0.8, "box": [10, 5, 50, 45], "mask": "00006.png"}
    }


def test_the_picture_tints_each_object_in_its_colour(found: FoundObjects, video: Video) -> None:
    picture = object_sheet(video, found).astype(int)
    assert picture.shape == (400, 960, 3)  # frames 0 and 6, five times as large
    plain = object_sheet(video, FoundObjects(found.objects[:1], (0,))).astype(int)
    place = (300, 350)  # of cat 2, away from letters
    tint = picture[place] - plain[place]
    toward = group_colours(3)[1].astype(int) - plain[place]
    np.testing.assert_allclose(tint, 0.45 * toward, atol=2)
