"""Masks as people paint them and as data sets store them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tracker.errors import UserError
from tracker.points.masks import mask_objects
from tracker.points.queries import Queries

SIZE = (64, 48)
LABELS = np.zeros((48, 64), np.uint8)
LABELS[4:20, 4:30] = 1
LABELS[25:45, 30:60] = 2
DAVIS = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)]


def save(path: Path, values: np.ndarray, palette: list[tuple[int, int, int]] | None = None) -> Path:
    image = Image.fromarray(values)
    if palette is not None:
        image = Image.frombytes("P", image.size, image.tobytes())
        image.putpalette([channel for colour in palette for channel in colour])
    image.save(path)
    return path


def test_palette_images_hold_an_object_for_each_index(tmp_path: Path) -> None:
    objects = mask_objects(save(tmp_path / "davis.png", LABELS, DAVIS), SIZE)
    assert list(objects) == ["object1", "object2"]
    for label, inside in enumerate(objects.values(), 1):
        np.testing.assert_array_equal(inside, label == LABELS)
    void = LABELS.copy()
    void[0] = 255
    voc = DAVIS + [(224, 224, 192)] * 251
    assert list(mask_objects(save(tmp_path / "voc.png", void, voc), SIZE)) == ["object1", "object2"]


@pytest.mark.parametrize("kind", ["gray", "16-bit", "colours"])
def test_label_images_hold_an_object_for_each_number(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "labels.png"
    if kind == "gray":
        save(path, LABELS)
    elif kind == "16-bit":
        cv2.imwrite(str(path), LABELS.astype(np.uint16))
    else:
        save(path, np.array(DAVIS, np.uint8)[LABELS])
    objects = mask_objects(path, SIZE)
    assert not caplog.records  # numbers of objects are no brightness to be warned of
    assert list(objects) == ["object1", "object2"]
    for label, inside in enumerate(objects.values(), 1):
        np.testing.assert_array_equal(inside, label == LABELS)


@pytest.mark.parametrize("kind", ["0/1", "0/255", "bilevel", "16-bit", "palette", "rgb", "jpg"])
def test_one_object_in_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    inside = LABELS == 2
    path = tmp_path / ("mask.jpg" if kind == "jpg" else "mask.png")
    white = inside.astype(np.uint8) * 255
    if kind == "0/1":
        save(path, inside.astype(np.uint8))
    elif kind == "bilevel":
        Image.fromarray(inside).save(path)
    elif kind == "16-bit":
        cv2.imwrite(str(path), np.where(inside, 60000, 1000).astype(np.uint16))
    elif kind == "palette":  # white may well be the palette's first colour
        save(path, (~inside).astype(np.uint8), [(255, 255, 255), (0, 0, 0)])
    elif kind == "rgb":
        save(path, np.dstack([white] * 3))
    else:
        save(path, white)
    (found,) = mask_objects(path, SIZE).values()
    assert (found != inside).mean() < (0.02 if kind == "jpg" else 1e-9)


def test_one_label_can_be_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path / "davis.png", LABELS, DAVIS)
    queries = Queries.from_mask(f"{path}:2", SIZE, n=4, t=3)
    assert len(queries) == 16 and queries.xy.min(axis=0).tolist() > [30, 25]
    assert queries.names is not None and queries.names[0] == "object2/1"
    with pytest.raises(UserError, match=r"has no label 7; it has 0, 1, 2"):
        mask_objects(f"{path}:7", SIZE)
    save(tmp_path / "odd.png", LABELS).rename(tmp_path / "odd:1")
    assert list(mask_objects(tmp_path / "odd:1", SIZE)) == ["object1", "object2"]


def test_objects_become_groups_of_named_points(tmp_path: Path) -> None:
    queries = Queries.from_mask(save(tmp_path / "davis.png", LABELS, DAVIS), SIZE, n=2)
    assert queries.names == tuple(f"object{o}/{i}" for o in (1, 2) for i in (1, 2, 3, 4))
    for (x, y), name in zip(queries.xy, queries.names, strict=True):
        assert f"object{LABELS[int(y), int(x)]}" == name.split("/")[0]
    assert Queries.from_mask(LABELS == 1, SIZE, n=2).names is None


def test_corners_keep_to_a_mask() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    queries = Queries.corners(frame, 30, mask=LABELS == 2)
    assert len(queries) > 5 and all(LABELS[int(y), int(x)] == 2 for x, y in queries.xy)
    frame[LABELS == 1] = 9
    with pytest.raises(UserError, match="the masked part of frame 0 has no corners"):
        inner = np.zeros_like(LABELS, dtype=bool)
        inner[8:16, 8:26] = True
        Queries.corners(frame, 5, mask=inner)


def test_a_missing_mask_and_a_broken_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file; check the path"):
        mask_objects(tmp_path / "nowhere.png", SIZE)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"broken\.png cannot be read as an image"):
        mask_objects(tmp_path / "broken.png", SIZE)
    with pytest.raises(UserError, match="no white part"):
        mask_objects(save(tmp_path / "empty.png", np.zeros((48, 64), np.uint8), DAVIS), SIZE)


@settings(deadline=None, max_examples=40)
@given(
    values=st.lists(st.integers(0, 60), min_size=12, max_size=12),
    kind=st.sampled_from(["gray", "palette"]),
)
def test_labels_survive_their_file(
    values: list[int], kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    labels = np.array([0, 2, *values], np.uint8).reshape(2, 7)
    palette = [(0, 0, 0)] + [(255, 0, i) for i in range(1, 61)]
    path = tmp_path_factory.mktemp("mask") / "labels.png"
    save(path, labels, palette if kind == "palette" else None)
    objects = mask_objects(path, (7, 2))
    assert list(objects) == [f"object{label}" for label in np.unique(labels) if label]
    for name, inside in objects.items():
        np.testing.assert_array_equal(inside, labels == int(name.removeprefix("object")))
