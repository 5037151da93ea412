"""From words to objects, with tiny networks; what is in memory when; what nothing found says."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tracker.baselines import LucasKanadeTracker
from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.prompting import finding
from tracker.prompting.finding import find
from tracker.video.loading import load_video
from tracker.video.video import Video


@pytest.fixture(scope="module")
def video(make_frames: Callable) -> Video:
    return load_video(make_frames(12, (96, 80)))


@pytest.fixture
def options(owlv2: Path, sam2: Path) -> dict[str, object]:
    return {
        "detector": str(owlv2),
        "segmenter": str(sam2),
        "tracker": LucasKanadeTracker(),
        "frames": [0, 5, 11],
        "threshold": 0.0,
        "device": "cpu",
    }


def test_every_sighting_is_of_one_object(video: Video, options: dict[str, object]) -> None:
    found = find(video, ["a cat", "dog"], **options)
    assert found.frames == (0, 5, 11) and len(found) > 1
    for item in found:
        times = [sighting.t for sighting in item.sightings]
        assert times == sorted(set(times)) and set(times) <= {0, 5, 11}
        assert {sighting.prompt for sighting in item.sightings} == {item.prompt}
    assert any(len(item.sightings) > 1 for item in found)
    assert Queries.from_text(video, ["a cat", "dog"], 4, **options) == found.queries(4)


def test_the_detector_is_gone_before_the_segmenter_comes(
    video: Video, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref] = []
    load_detector, load_segmenter = finding.Detector.load, finding.Segmenter.load

    def detector(*args: object) -> object:
        network = load_detector(*args)
        alive.append(weakref.ref(network.model))
        return network

    def segmenter(*args: object) -> object:
        assert alive[0]() is None
        network = load_segmenter(*args)
        alive.append(weakref.ref(network.model))
        return network

    class Follower(LucasKanadeTracker):
        def track(self, *args: object) -> object:
            assert alive[1]() is None
            return super().track(*args)

    monkeypatch.setattr(finding.Detector, "load", detector)
    monkeypatch.setattr(finding.Segmenter, "load", segmenter)
    find(video, "a cat", **options | {"tracker": Follower()})
    assert len(alive) == 2


def test_nothing_found_says_how_near_it_was(video: Video, options: dict[str, object]) -> None:
    line = r"nothing in frames 0, 5, 11 is 'a cat' or 'dog', .*above 0.9 \(the best: 0\.[4-7]"
    with pytest.raises(UserError, match=line):
        find(video, ["a cat", "dog"], **options | {"threshold": 0.9})


def test_a_prompt_that_finds_nothing_beside_one_that_does_is_warned_of(
    video: Video, caplog: pytest.LogCaptureFixture
) -> None:
    none = np.empty(0)
    boxes = np.array([[0, 0, 9, 9]], np.float32)
    best = np.array([0.8, 0.05], np.float32)
    one = finding.Detections(boxes, np.array([0.8]), np.array([0]), best)
    other = finding.Detections(none.reshape(0, 4), none, none.astype(int), best)
    finding._tell_what_is_missing(video, ["a cat", "a dog"], 0.1, {2: one, 7: other})
    assert "nothing in frames 2, 7 of" in caplog.text and "'a dog'" in caplog.text
    assert "'a cat'" not in caplog.text and "0.050" in caplog.text


def test_empty_masks_and_second_masks_of_a_thing_are_left_out() -> None:
    masks = np.zeros((4, 8, 8), bool)
    masks[0, :4], masks[1, :4, 1:], masks[2, 4:] = True, True, True
    boxes = np.zeros((4, 4), np.float32)
    scores = np.array([0.6, 0.9, 0.5, 0.8], np.float32)
    found = finding.Detections(boxes, scores, np.zeros(4, int), np.array([0.9]))
    seen = list(finding._seen(3, found, masks, ["a cat"]))
    assert [round(sighting.score, 2) for sighting in seen] == [0.9, 0.5]


@pytest.mark.parametrize("frames", [[], [-1, 3], [12]])
def test_frames_that_are_not_in_the_video_are_refused(
    video: Video, options: dict[str, object], frames: list[int]
) -> None:
    with pytest.raises(UserError, match=r"not all among the video's 0\.\.11"):
        find(video, "a cat", **options | {"frames": frames})


def test_frames_are_chosen_by_their_importance(
    video: Video, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = finding.query_frames
    asked = []

    def query_frames(video: Video, backbone: str, device: str) -> object:
        asked.append((backbone, device))
        return chosen(video, "no/such/folder", device)

    monkeypatch.setattr(finding, "query_frames", query_frames)
    assert find(video, "a cat", **options | {"frames": None}).frames == (1, 4, 7, 10)
    assert asked == [("mini", "cpu")]


def test_a_missing_extra_is_named(
    video: Video, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("scipy", "scipy.ndimage"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"scipy is not installed.*vjepa-tracker\[text\]"):
        find(video, "a cat", **options)
