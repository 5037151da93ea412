"""DeepLabCut's tables, read as it reads them, and SLEAP's labels, read by `sleap-io`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sleap_io as sio
from any_tracks import any_tracks, assert_same_places, seen_places, three_points
from hypothesis import given, settings

from tracker.errors import UserError
from tracker.formats.paths import Paths
from tracker.formats.reading import read_anchors
from tracker.formats.registry import save_tracks
from tracker.points.queries import Queries
from tracker.points.tracks import Tracks


def places_in_table(table: pd.DataFrame) -> dict[tuple[int, int], tuple[float, float]]:
    """Return places in raster pixels of a table that is read as DeepLabCut reads it."""
    assert table.columns.names == ["scorer", "bodyparts", "coords"]
    parts = list(table.columns.get_level_values("bodyparts").unique())
    found = {}
    for point, part in enumerate(parts):
        spot = table["vjepa-tracker"][part]
        for frame, x, y in zip(spot.index, spot["x"], spot["y"], strict=True):
            if np.isfinite(x):
                found[point, int(frame)] = (x + 0.5, y + 0.5)
    return found


@settings(deadline=None, max_examples=20)
@given(tracks=any_tracks(least=1))
def test_deeplabcut_csv_reads_back(
    tracks: Tracks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = save_tracks(tracks, tmp_path_factory.mktemp("dlc") / "a.deeplabcut.csv")
    table = pd.read_csv(path, header=[0, 1, 2], index_col=0, keep_default_na=False, na_values=[""])
    assert_same_places(places_in_table(table), seen_places(tracks))
    likelihood = table.xs("likelihood", axis=1, level="coords").to_numpy()
    np.testing.assert_allclose(likelihood.T, tracks.confidence, atol=1e-5)


@pytest.mark.parametrize("suffix", [".csv", ".h5"])
def test_deeplabcut_files_agree(suffix: str, tmp_path: Path) -> None:
    tracks = three_points()
    path = tracks.save(tmp_path / f"a{suffix}", "deeplabcut")
    if suffix == ".csv":
        table = pd.read_csv(path, header=[0, 1, 2], index_col=0)
    else:
        table = pd.read_hdf(path)
    assert_same_places(places_in_table(table), seen_places(tracks))
    parts = table.columns.get_level_values("bodyparts").unique()
    assert list(parts) == ["left eye", "point_1", "tail"]
    assert list(table.index) == [100, 102, 104, 106]


def test_deeplabcut_gives_back_anchors(tmp_path: Path) -> None:
    tracks = three_points()
    anchors = read_anchors(tracks.save(tmp_path / "a.deeplabcut.csv"))
    names = Paths(tracks).names
    found = {
        (names.index(name), int(t)): (x, y)
        for (t, x, y), name in zip(anchors.txy, anchors.names, strict=True)
    }
    assert_same_places(found, seen_places(tracks))
    assert not anchors.hidden.any()


LABELS = """\
scorer,,,anna,anna,anna,anna
bodyparts,,,nose,nose,tail,tail
coords,,,x,y,x,y
labeled-data,clip,img0007.png,10.25,20.5,,
labeled-data,clip,img0021.png,11,21,30,40
"""

OLD_LABELS = """\
scorer,anna,anna
bodyparts,nose,nose
coords,x,y
labeled-data/clip/img0007.png,10.25,20.5
"""

ANIMALS = """\
scorer,anna,anna,anna,anna,anna,anna
individuals,mouse1,mouse1,mouse1,mouse2,mouse2,mouse2
bodyparts,nose,nose,nose,nose,nose,nose
coords,x,y,likelihood,x,y,likelihood
7,1,2,0.9,3,4,0.5
"""


def test_labels_of_deeplabcut_are_queries(tmp_path: Path) -> None:
    (tmp_path / "CollectedData_anna.csv").write_text(LABELS)
    queries = Queries.load(tmp_path / "CollectedData_anna.csv")
    assert queries.names == ("nose", "nose", "tail")
    assert queries.txy.tolist() == [[7, 10.75, 21], [21, 11.5, 21.5], [21, 30.5, 40.5]]


def test_frames_are_counted_within_those_that_are_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.csv").write_text(LABELS)
    queries = Queries.load(tmp_path / "a.csv", range(11, 40, 2))
    assert queries.txy.tolist() == [[5, 11.5, 21.5], [5, 30.5, 40.5]]
    assert "1 of 3 marked places lie in other frames than 11..39" in caplog.text


def test_old_labels_and_several_animals(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text(OLD_LABELS)
    assert read_anchors(tmp_path / "old.csv").txy.tolist() == [[7, 10.75, 21]]
    (tmp_path / "mice.csv").write_text(ANIMALS)
    mice = read_anchors(tmp_path / "mice.csv")
    assert mice.names == ("mouse1/nose", "mouse2/nose")
    assert mice.hidden.tolist() == [False, True]
    assert mice.txy[~mice.hidden].tolist() == [[7, 1.5, 2.5]]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("scorer,a\nbodyparts,nose\n", "coords"),
        (OLD_LABELS.replace("img0007", "first"), "names no frame"),
        (OLD_LABELS.replace("10.25", "left"), "cannot be read as deeplabcut"),
        (OLD_LABELS.replace(",20.5", ""), "cannot be read as deeplabcut"),
    ],
)
def test_damaged_labels_are_refused(text: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=word):
        read_anchors(tmp_path / "a.csv")


def test_sleap_reads_back(tmp_path: Path) -> None:
    tracks = three_points()
    labels = sio.load_slp(str(tracks.save(tmp_path / "a.slp")), open_videos=False)
    assert labels.skeleton.node_names == ["left eye", "point_1", "tail"]
    found, guessed = {}, {}
    for frame in labels.labeled_frames:
        (instance,) = frame.instances
        np.testing.assert_allclose(
            instance.points["score"], tracks.confidence[:, (frame.frame_idx - 100) // 2], rtol=1e-6
        )
        for point, (x, y) in enumerate(instance.numpy()):  # hidden points are NaN
            if np.isfinite(x):
                found[point, frame.frame_idx] = (x + 0.5, y + 0.5)
        for point, (x, y) in enumerate(instance.points["xy"]):
            guessed[point, frame.frame_idx] = (x + 0.5, y + 0.5)
    assert_same_places(found, seen_places(tracks))
    np.testing.assert_allclose(guessed[1, 102], (11, 21))
    assert labels.provenance["fps"] == 24


def test_sleap_gives_back_anchors(tmp_path: Path) -> None:
    tracks = three_points()
    anchors = read_anchors(tracks.save(tmp_path / "a.slp"))
    assert len(anchors.names) == 12 and anchors.hidden.sum() == 2
    names = Paths(tracks).names
    found = {
        (names.index(name), int(t)): (x, y)
        for (t, x, y), name, hidden in zip(*vars(anchors).values(), strict=True)
        if not hidden
    }
    assert_same_places(found, seen_places(tracks))


def test_places_that_people_marked_count_before_predictions(tmp_path: Path) -> None:
    skeleton = sio.Skeleton(["nose", "tail"])
    video = sio.Video(filename="clip.mp4", open_backend=False)
    by_hand = sio.Instance.from_numpy(np.array([[1, 2], [np.nan, np.nan]]), skeleton)
    other = sio.Instance.from_numpy(np.array([[5, 6], [7, 8]]), skeleton, track=sio.Track("b"))
    guess = sio.PredictedInstance.from_numpy(np.array([[3, 4], [3, 4]]), skeleton)
    frames = [
        sio.LabeledFrame(video=video, frame_idx=3, instances=[by_hand, guess]),
        sio.LabeledFrame(video=video, frame_idx=9, instances=[guess]),
        sio.LabeledFrame(video=video, frame_idx=12, instances=[by_hand, other]),
    ]
    sio.save_slp(sio.Labels(frames), str(tmp_path / "a.slp"), verbose=False)
    anchors = read_anchors(tmp_path / "a.slp")
    assert anchors.names == ("nose", "0/nose", "b/nose", "b/tail")
    assert anchors.txy.tolist() == [[3, 1.5, 2.5], [12, 1.5, 2.5], [12, 5.5, 6.5], [12, 7.5, 8.5]]


def test_what_is_no_slp_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.slp").write_bytes(b"not labels")
    with pytest.raises(UserError, match="cannot be read as sleap"):
        read_anchors(tmp_path / "a.slp")
