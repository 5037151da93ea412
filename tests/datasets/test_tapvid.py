"""TAP-Vid's files: every published layout, and files that mean harm."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tracker.datasets.benchmark import Sample
from tracker.datasets.tapvid import TapVid
from tracker.errors import UserError


@pytest.fixture
def entry(make_entry: Callable, make_frames: Callable) -> dict:
    return make_entry(make_frames(6))


@pytest.fixture
def jpeg_entry(make_entry: Callable, make_frames: Callable) -> dict:
    return make_entry(make_frames(6), jpeg=True)


def load_all(path: Path) -> dict[str, Sample]:
    return {name: load() for name, load in TapVid("test", path)}


def write(path: Path, data: object, protocol: int | None = None) -> Path:
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_dict_by_name_as_davis_and_robotap(
    tmp_path: Path, entry: dict, jpeg_entry: dict, protocol: int
) -> None:
    path = write(tmp_path / "davis.pkl", {"goat": entry, "car": jpeg_entry}, protocol)
    samples = load_all(path)
    assert list(samples) == ["goat", "car"]
    np.testing.assert_array_equal(samples["goat"].video.read(), entry["video"])
    np.testing.assert_allclose(samples["goat"].points, entry["points"])
    np.testing.assert_array_equal(samples["goat"].occluded, entry["occluded"])
    # JPEG is lossy, but the frames are these.
    decoded = samples["car"].video.read()
    assert np.abs(decoded.astype(int) - entry["video"]).mean() < 6
    np.testing.assert_array_equal(samples["car"].video.read(2, 4), decoded[2:4])
    assert samples["goat"].video.size == samples["car"].video.size == (64, 48)


def test_list_as_rgb_stacking(tmp_path: Path, entry: dict) -> None:
    samples = load_all(write(tmp_path / "stacking.pkl", [entry, entry]))
    assert list(samples) == ["0000", "0001"]


def test_folder_of_shards_as_kinetics(tmp_path: Path, entry: dict, jpeg_entry: dict) -> None:
    write(tmp_path / "0001_of_0002.pkl", [entry])
    write(tmp_path / "0000_of_0002.pkl", [jpeg_entry, entry])
    (tmp_path / "README.md").write_text("not a shard")
    names = list(load_all(tmp_path))
    assert names == ["0000_of_0002-0000", "0000_of_0002-0001", "0001_of_0002-0000"]


def test_points_are_x_y_in_shares_of_the_frame(tmp_path: Path, entry: dict) -> None:
    sample = load_all(write(tmp_path / "a.pkl", {"v": entry}))["v"]
    np.testing.assert_allclose(sample.points[0, 2] * sample.video.size, [22.5, 20.5], rtol=1e-6)


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.3, 0.99])
def test_damaged_pickle_is_refused(tmp_path: Path, entry: dict, keep: float) -> None:
    path = write(tmp_path / "cut.pkl", {"v": entry})
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(UserError, match=r"cut\.pkl is not a .*pickle.* or is cut short"):
        load_all(path)
    path.write_bytes(b"no pickle at all")
    with pytest.raises(UserError, match=r"cut\.pkl"):
        load_all(path)


def test_one_bad_shard_does_not_lose_the_others(tmp_path: Path, entry: dict) -> None:
    write(tmp_path / "0.pkl", [entry])
    (tmp_path / "1.pkl").write_bytes(b"damaged")
    write(tmp_path / "2.pkl", [entry])
    loaders = dict(TapVid("test", tmp_path))
    assert list(loaders) == ["0-0000", "1", "2-0000"]
    assert len(loaders["2-0000"]().video) == 6
    with pytest.raises(UserError, match=r"1\.pkl"):
        loaders["1"]()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"occluded": None}, "occluded has shape"),
        ({"points": np.zeros((4, 5, 2))}, r"points have shape \(4, 5, 2\); expected \(N, 6, 2\)"),
        ({"video": []}, "must hold its frames"),
        ({"video": ["name.jpg"] * 6}, "must hold its frames"),
        ({"video": [b"not a jpeg"] * 6}, "frame 0 of video v is not a JPEG"),
        ({"occluded": np.ones((4, 6), bool)}, "no point is visible"),
        ({"points": np.full((4, 6, 2), np.nan)}, "no finite position"),
    ],
)
def test_broken_video_is_named(tmp_path: Path, entry: dict, change: dict, words: str) -> None:
    path = write(tmp_path / "a.pkl", {"v": {**entry, **change}})
    with pytest.raises(UserError, match=words):
        load_all(path)


def test_entries_that_are_no_videos(tmp_path: Path, entry: dict) -> None:
    del entry["points"]
    with pytest.raises(UserError, match="video v lacks points"):
        load_all(write(tmp_path / "a.pkl", {"v": entry}))
    with pytest.raises(UserError, match="lacks video, points, occluded"):
        load_all(write(tmp_path / "a.pkl", {"v": [1, 2]}))
    with pytest.raises(UserError, match="holds a int"):
        load_all(write(tmp_path / "a.pkl", 5))


def test_one_frame_of_another_size(tmp_path: Path, jpeg_entry: dict, make_entry: Callable) -> None:
    jpeg_entry["video"][3] = make_entry(np.zeros((1, 8, 8, 3), np.uint8), jpeg=True)["video"][0]
    sample = load_all(write(tmp_path / "a.pkl", {"v": jpeg_entry}))["v"]
    with pytest.raises(UserError, match="frame 3 of video v has another size"):
        sample.video.read()


def test_missing_data_says_where_it_is_published(tmp_path: Path) -> None:
    for path in (None, tmp_path / "nowhere.pkl", tmp_path):
        with pytest.raises(UserError, match=r"davis.*https://example\.org/davis\.zip"):
            TapVid("davis", path, "https://example.org/davis.zip")
