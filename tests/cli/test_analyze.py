"""`vjepa-tracker analyze`: what is written, large checkpoints, and every kind of bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tracker.analysis.features import Features, Settings
from tracker.points.tracks import Tracks

SMALL = ["--size", "64", "64", "--window", "4", "--clips", "4"]


def check_outputs(out: Path, name: str) -> dict:
    """Check that a report is complete and return its numbers."""
    names = {p.name for p in out.iterdir()}
    assert {f"{name}.json", "report.html"} < names
    assert all(p.suffix in (".png", ".json", ".html") for p in out.iterdir())
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == sum(n.endswith(".png") for n in names) > 0
    return json.loads((out / f"{name}.json").read_text())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("positional", []),
        ("pca", ["VIDEO"]),
        ("match", ["VIDEO", "--points", "3,20,20"]),
        ("frames", ["VIDEO", "--stop", "12"]),
    ],
)
def test_the_architecture_of_a_published_checkpoint(
    run_cli: Callable, large_checkpoint: Path, clip: Path, tmp_path: Path, name: str, options: list
) -> None:
    options = [clip if option == "VIDEO" else option for option in options]
    options += ["--size", "48", "64", "--window", "4", "--clips", "4"]
    if name == "match":
        options += ["--stop", "8"]
    out = tmp_path / "out"
    result = run_cli("analyze", name, *options, "--backbone", large_checkpoint, "--out", out)
    assert result.code == 0, result.err
    settings = check_outputs(out, name)["settings"]
    assert settings["layers"] == [2] and settings["input_size"] == [48, 64]
    assert f"written: {out / 'report.html'}" in result.out


def test_cuts_need_no_backbone(
    run_cli: Callable, refused: Callable, make_frames: Callable, tmp_path: Path
) -> None:
    shots = [make_frames(12, (96, 64), seed) for seed in range(2)]
    shots[1][..., 0] //= 4
    np.save(tmp_path / "film.npy", np.concatenate(shots))
    run = ["analyze", "cuts", tmp_path / "film.npy", "--out", tmp_path / "out"]
    result = run_cli(*run, "--start", "2")
    assert result.code == 0, result.err
    numbers = check_outputs(tmp_path / "out", "cuts")
    assert numbers["cuts"] == [10] and len(numbers["change"]) == 22
    assert numbers["shots"] == [{"first": 0, "last": 9}, {"first": 10, "last": 21}]
    assert "Shots of film.npy" in result.out
    refused(run_cli("analyze", "cuts", tmp_path / "nowhere.mp4"), "does not exist")


def test_the_random_mini_needs_no_file(
    run_cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_cli("analyze", "frames", "--backbone", "mini-random", *SMALL)
    assert result.code == 0, result.err
    numbers = check_outputs(tmp_path / "outputs" / "analyze" / "frames", "frames")
    assert numbers["settings"]["layers"] == [8] and len(numbers["clips"]) == 4


def test_a_template_file_brings_its_own_settings(
    run_cli: Callable, open_features: Callable, checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    fitted = open_features(layers=(1, 2), size=(32, 64), window=6)
    fitted.fit(2)
    fitted.template.save(tmp_path / "t.safetensors")
    given = ["--backbone", checkpoint, "--template", tmp_path / "t.safetensors"]
    run = ["analyze", "frames", clip, "--stop", "6", "--clips", "2", *given]
    assert run_cli(*run, "--out", tmp_path / "out").code == 0
    settings = check_outputs(tmp_path / "out", "frames")["settings"]
    assert settings["layers"] == [1, 2] and settings["input_size"] == [32, 64]
    assert settings["window"] == 6 and settings["template_clips"] == 2
    other = run_cli(*run, "--window", "8", "--out", tmp_path / "other")
    assert other.code == 2 and "window=6" in other.err and not (tmp_path / "other").exists()


@pytest.fixture
def mixed_videos(tmp_path: Path, clip: Path) -> Path:
    """A folder of one good video and one that is none."""
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "good.mp4").write_bytes(clip.read_bytes())
    (folder / "bad.mp4").write_bytes(b"no video " * 100)
    return folder


def test_unreadable_videos_are_counted_and_listed_at_the_end(
    run_cli: Callable, checkpoint: Path, mixed_videos: Path, tmp_path: Path
) -> None:
    options = ["--backbone", checkpoint, *SMALL, "--videos", mixed_videos]
    result = run_cli("analyze", "pca", *options, "--out", tmp_path / "out")
    assert result.code == 0, result.err
    skipped = [line for line in result.err.splitlines() if "warning: skipped" in line]
    assert len(skipped) == 1 and "bad.mp4" in skipped[0]
    settings = check_outputs(tmp_path / "out", "pca")["settings"]
    assert list(settings["skipped"]) == [str(mixed_videos / "bad.mp4")]
    assert "bad.mp4" in (tmp_path / "out" / "report.html").read_text()


class Flaky:
    """Clips of which the first `bad` cannot be read."""

    def __init__(self, bad: int) -> None:
        self.bad = bad

    def clip(self, index: int) -> torch.Tensor:
        from tracker.errors import UserError

        if index < self.bad:
            raise UserError(f"cannot decode {index}")
        return torch.full((8, 3, 64, 64), index / 10)


def test_clips_that_fail_to_decode_are_skipped_until_too_few_are_left(
    open_features: Callable,
) -> None:
    from tracker.errors import UserError

    features: Features = open_features()
    features.source = Flaky(2)
    assert [round(float(c.mean()), 2) for c in features.clips(3)] == [0.2, 0.3, 0.4]
    assert features.skipped == {"clip 0": "cannot decode 0", "clip 1": "cannot decode 1"}
    features.source = Flaky(5)
    with pytest.raises(UserError, match="only 1 of 3 clips"):
        list(features.clips(3))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("positional", ["--videos", "EMPTY"], ["holds no readable video"]),
        ("positional", ["--videos", "nowhere"], ["nowhere does not exist"]),
        ("positional", ["--textures", "EMPTY"], ["holds no readable"]),
        ("positional", ["--clips", "3"], ["3 clips are too few"]),
        ("positional", ["--clips", "0"], ["--clips 0"]),
        ("positional", ["--seed", "-1"], ["--seed -1"]),
        ("positional", ["--device", "abacus"], ["device abacus cannot be used"]),
        ("positional", ["--layers", "3"], ["layers [3]", "1..2"]),
        ("positional", ["--size", "60", "64"], ["60x64", "multiples of 16"]),
        ("positional", ["--window", "7"], ["window 7"]),
        ("positional", ["--template", "nowhere.st"], ["nowhere.st does not exist"]),
        ("pca", ["nowhere.mp4"], ["nowhere.mp4 does not exist"]),
        ("pca", ["--clips", "1"], ["at least 2 clips"]),
        ("pca", ["--size", "16", "16", "--window", "4"], ["2 tokens"]),
        ("match", ["VIDEO", "--points", "0,64.5,10"], ["x=64.5", "outside"]),
        ("match", ["VIDEO", "--points", "60,6,10"], ["t=60", "0..59"]),
        ("match", ["VIDEO", "--points", "0,6"], ["t,x,y"]),
        ("frames", ["VIDEO", "--stop", "4", "--keyframes", "5"], ["5 key frames of 4"]),
        ("frames", ["--keyframes", "5"], ["5 key frames of 4"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    run_cli: Callable,
    refused: Callable,
    checkpoint: Path,
    clip: Path,
    tmp_path: Path,
    name: str,
    options: list,
    words: list,
) -> None:
    (tmp_path / "empty").mkdir()
    swap = {"VIDEO": clip, "EMPTY": tmp_path / "empty"}
    options = [swap.get(option, option) for option in options]
    first, rest = options[:1], options[1:]
    if first and str(first[0]).startswith("--"):
        first, rest = [], options
    out = tmp_path / "out"
    given = [*first, "--backbone", checkpoint, *SMALL, *rest, "--out", out]
    refused(run_cli("analyze", name, *given), *words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("positional", []),
        ("pca", []),
        ("match", ["--points", "0,1,1"]),
        ("frames", []),
        ("pca", ["--template", "none"]),
    ],
)
def test_nan_features_are_refused(
    run_cli: Callable,
    refused: Callable,
    damaged_checkpoint: Path,
    tmp_path: Path,
    name: str,
    options: list,
) -> None:
    given = ["--backbone", damaged_checkpoint, *SMALL, *options, "--out", tmp_path / "out"]
    refused(run_cli("analyze", name, *given), "not finite (NaN)", str(damaged_checkpoint))
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_written(
    run_cli: Callable, refused: Callable, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("kept")
    given = ["--backbone", checkpoint, *SMALL, "--out", tmp_path / "file"]
    refused(run_cli("analyze", "positional", *given), str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "kept"


def test_what_was_in_the_output_folder_survives_a_failure(
    run_cli: Callable, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("kept")
    given = ["--backbone", checkpoint, *SMALL, "--layers", "9", "--out", tmp_path]
    assert run_cli("analyze", "pca", *given).code == 2
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_frames_without_a_backbone_are_spread_evenly(
    run_cli: Callable, clip: Path, tmp_path: Path
) -> None:
    given = ["--backbone", tmp_path / "nowhere", "--keyframes", "2", "--out", tmp_path / "out"]
    result = run_cli("analyze", "frames", clip, *given)
    assert result.code == 0 and "warning: frames are spread evenly" in result.err
    numbers = check_outputs(tmp_path / "out", "frames")
    assert numbers["clips"]["clip.mp4"]["frames"] == [15, 45]


def test_track_seeds_its_queries_on_key_frames(
    run_cli: Callable,
    checkpoint: Path,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tracker.analysis.features.DEFAULT_SIZE", (64, 64))
    monkeypatch.setattr("tracker.analysis.features.DEFAULT_WINDOW", 8)
    track = ["track", clip, "--stop", "8", "--tracker", "static", "--grid", "2"]
    auto = [*track, "--query-frames", "auto", "--backbone"]
    result = run_cli(*auto, tmp_path / "nowhere", "--out", tmp_path / "a")
    assert result.code == 0 and "warning: query frames are spread evenly" in result.err
    assert np.unique(Tracks.load(tmp_path / "a" / "tracks.npz").queries[:, 0]).tolist() == [
        1, 3, 5, 7
    ]  # fmt: skip
    result = run_cli(*auto, checkpoint, "--out", tmp_path / "b")
    assert result.code == 0 and "warning" not in result.err
    queries = Tracks.load(tmp_path / "b" / "tracks.npz").queries
    chosen = ", ".join(f"{t:.0f}" for t in np.unique(queries[:, 0]))
    assert len(queries) == 16 and f"query frames: {chosen}" in result.out


def test_track_takes_query_frames_by_number(run_cli: Callable, clip: Path, tmp_path: Path) -> None:
    track = ["track", clip, "--stop", "8", "--tracker", "static", "--out", tmp_path / "out"]
    assert run_cli(*track, "--corners", "3", "--query-frames", "6,2,6").code == 0
    queries = Tracks.load(tmp_path / "out" / "tracks.npz").queries
    assert queries[:, 0].tolist() == sorted(queries[:, 0]) and set(queries[:, 0]) == {2, 6}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--query-frames", "8"], ["--query-frames 8", "0..7"]),
        (["--query-frames", "2,-1"], ["--query-frames -1"]),
        (["--query-frames", "two"], ["'two'", "auto"]),
        (["--query-frames", "2", "--at", "3"], ["--at and --query-frames"]),
        (["--query-frames", "2", "--points", "0,1,1"], ["--points and --query-frames"]),
        (["--query-frames", "auto", "--queries", "q.csv"], ["--queries and --query-frames"]),
    ],
)
def test_bad_query_frames_are_refused(
    run_cli: Callable, refused: Callable, clip: Path, tmp_path: Path, options: list, words: list
) -> None:
    out = tmp_path / "out"
    refused(run_cli("track", clip, "--stop", "8", "--out", out, *options), *words)
    assert not out.exists()


def test_settings_default_to_the_last_layer(checkpoint: Path) -> None:
    assert Features.open(Settings(str(checkpoint))).layers == (2,)
