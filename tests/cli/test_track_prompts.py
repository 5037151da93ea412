"""`vjepa-tracker track --prompt`: objects that words name, with tiny random networks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tracker.points.masks import mask_objects
from tracker.points.tracks import Tracks

Run = Callable[..., object]


@pytest.fixture
def track(run_cli: Callable, clip: Path, owlv2: Path, sam2_video: Path, tmp_path: Path) -> Run:
    """Look for cats in frames 0 and 5 of a short clip, into `tmp_path / "out"`."""

    def run(*options: str | Path) -> object:
        models = ["--detector", owlv2, "--segmenter", sam2_video, "--device", "cpu"]
        frames = ["--stop", "8", "--query-frames", "0,5", "--tracker", "lk"]
        out = ["--out", tmp_path / "out"]
        return run_cli("track", clip, *models, *frames, *out, *options)

    return run


def test_objects_are_found_followed_and_written(track: Run, tmp_path: Path) -> None:
    words = ["--prompt", "a cat", "--prompt", "dog", "--grid", "3", "--prompt-threshold", "0.3"]
    result = track(*words, "--json")
    assert result.code == 0, result.err
    (told,) = json.loads(result.out)["videos"]
    out = tmp_path / "out"
    tracks = Tracks.load(out / "tracks.npz")
    listed = json.loads((out / "objects" / "objects.json").read_text())["objects"]
    names = [item["name"] for item in listed]
    assert told["objects"] == names and {name.split()[0] for name in names} <= {"cat", "dog"}
    assert [name.rpartition("/")[0] for name in tracks.names if name.endswith("/1")] == names
    assert f"found: {names[0]}, score" in result.err
    for item in listed:
        for seen in item["sightings"]:
            masks = mask_objects(out / "objects" / seen["mask"], (64, 48))
            # Smaller objects may hide it altogether.
            assert f"object{item['label']}" in masks or len(masks) > 0
        x, y = tracks[f"{item['name']}/1"].queries[0, 1:].astype(int)
        assert 0 <= x < 64 and 0 <= y < 48
    files = {Path(file).name for file in told["files"]}
    assert {"tracks.mp4", "objects.json", "objects.png", "00000.png"} <= files
    assert all(Path(file).is_file() for file in told["files"])


def test_a_run_without_prompts_leaves_no_masks_of_the_one_before(
    track: Run, run_cli: Callable, clip: Path, tmp_path: Path
) -> None:
    assert track("--prompt", "a cat", "--save", "npz", "--corners", "2").code == 0
    (tmp_path / "out" / "objects" / "notes.png").write_text("mine")
    again = ["--grid", "2", "--tracker", "static", "--save", "npz", "--overwrite"]
    assert run_cli("track", clip, "--out", tmp_path / "out", *again).code == 0
    left = [path.name for path in (tmp_path / "out" / "objects").iterdir()]
    assert left == ["notes.png"]


def test_a_preview_shows_the_points_and_one_file_is_one_file(track: Run, tmp_path: Path) -> None:
    assert track("--prompt", "a cat", "--preview").code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["preview.png"]
    assert track("--prompt", "a cat", "--out", tmp_path / "one.npz").code == 0
    assert not (tmp_path / "objects").exists() and len(Tracks.load(tmp_path / "one.npz")) > 0


def test_what_is_wrong_is_one_line_and_nothing_is_written(
    track: Run,
    run_cli: Callable,
    refused: Callable,
    monkeypatch: pytest.MonkeyPatch,
    clip: Path,
    sam2: Path,
    tmp_path: Path,
) -> None:
    cat = ["--prompt", "a cat"]
    points = run_cli("track", clip, *cat, "--points", "0,1,1", "--out", tmp_path / "out")
    refused(points, "--prompt and --points exclude each other")
    refused(track("--prompt", " "), "' ' says nothing", "'a cat'")
    refused(track(*cat, "--mask", "m.png"), "--prompt and --mask exclude each other")
    refused(track(*cat, "--prompt-threshold", "2"), "threshold of 2")
    refused(track(*cat, "--prompt-threshold", "0.9"), "nothing in frames 0, 5 is 'a cat'", "best")
    refused(track(*cat, "--detector", sam2), "is a checkpoint of sam2, not of OWLv2")
    refused(track(*cat, "--segmenter", tmp_path / "none"), "none", "config.json")
    refused(track(*cat, "--grid", "0"), "grid 0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused(track(*cat, "--segmenter", "no-such/sam"), "no-such/sam", "the network")
    for name in ("scipy", "scipy.ndimage"):
        monkeypatch.setitem(sys.modules, name, None)
    refused(track(*cat), "scipy is not installed", "pip install 'vjepa-tracker[text]'")
    assert not (tmp_path / "out").exists()


def test_frames_to_search_are_chosen_where_nobody_names_them(
    run_cli: Callable, clip: Path, owlv2: Path, sam2_video: Path, tmp_path: Path
) -> None:
    """Spread evenly where there is no backbone; corners lie inside the masks."""
    models = ["--detector", owlv2, "--segmenter", sam2_video, "--backbone", tmp_path / "none"]
    how = ["--prompt", "a cat", "--tracker", "static", "--stop", "8", "--corners", "3"]
    out = ["--save", "npz", "--out", tmp_path / "out"]
    result = run_cli("track", clip, *models, *how, *out)
    assert result.code == 0, result.err
    assert "query frames: 1, 3, 5, 7" in result.out and "spread evenly" in result.err
    listed = json.loads((tmp_path / "out" / "objects" / "objects.json").read_text())
    assert listed["frames"] == [1, 3, 5, 7]
    queries = Tracks.load(tmp_path / "out" / "tracks.npz").queries
    assert len(queries) and set(np.unique(queries[:, 0])) <= {1, 3, 5, 7}
