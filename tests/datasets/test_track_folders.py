"""Clips cut from annotated videos: their shape, and points that stay on their pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tracker.datasets.kubric import kubric_tracks, read_kubric
from tracker.datasets.point_odyssey import point_odyssey_tracks, read_point_odyssey
from tracker.datasets.track_folders import FolderTracks
from tracker.errors import UserError
from tracker.points.geometry import inside_frame


def test_clips_have_one_shape_and_numbers_fix_them(kubric: Path) -> None:
    source = kubric_tracks(str(kubric), 4, (32, 32), 8, "occluded")
    video, xy, visible = source.clips([3, 4])
    assert video.shape == (2, 4, 3, 32, 32)
    assert xy.shape == (2, 8, 4, 2)
    assert visible.shape == (2, 8, 4)
    assert visible.any(-1).all()
    assert video.min() >= 0 and video.max() <= 1
    for one, again in zip(source.clips([4]), source.clips([4]), strict=True):
        assert torch.equal(one, again)
    assert torch.equal(source.clips([4])[0][0], video[1])


@pytest.mark.parametrize("number", range(8))
def test_points_stay_on_their_pixels_through_crop_and_flip(odyssey: Path, number: int) -> None:
    source = FolderTracks([odyssey / "scene"], read_point_odyssey, 3, (40, 40), 5)
    video, xy, visible = source.clips([number])
    for point in range(5):
        for t in range(3):
            x, y = xy[0, point, t]
            if visible[0, point, t] and 2 <= x < 38 and 2 <= y < 38:
                row, column = int(y), int(x)
                near = video[0, t, :, row - 1 : row + 2, column - 1 : column + 2]
                assert near.max() > 0.2


def test_points_outside_the_crop_are_invisible(kubric: Path) -> None:
    source = kubric_tracks(str(kubric), 6, (16, 16), 5, "occluded")
    for number in range(10):
        _, xy, visible = source.clips([number])
        inside = inside_frame(xy, (16, 16))
        assert not (visible & ~inside).any()


class TestErrors:
    def test_missing_folders_say_where_data_is_published(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="published at https"):
            kubric_tracks(None, 4, (32, 32), 4, "occluded")
        with pytest.raises(UserError, match=r"published at https://pointodyssey\.com"):
            point_odyssey_tracks(str(tmp_path / "no"), 4, (32, 32), 4)
        with pytest.raises(UserError, match="holds no videos"):
            kubric_tracks(str(tmp_path), 4, (32, 32), 4, "occluded")
        with pytest.raises(UserError, match="holds no scenes"):
            point_odyssey_tracks(str(tmp_path), 4, (32, 32), 4)

    def test_pickles_cannot_run_code(self, kubric: Path) -> None:
        class Evil:
            def __reduce__(self):
                return exec, ("raise SystemExit(99)",)

        np.save(kubric / "0000" / "0000.npy", np.array({"coords": Evil()}, dtype=object))
        with pytest.raises(UserError, match=r"asks to load builtins\.exec"):
            read_kubric(kubric / "0000")

    def test_damaged_annotations(self, kubric: Path, odyssey: Path) -> None:
        np.save(kubric / "0000" / "0000.npy", {"coords": np.zeros((2, 3, 2))})
        with pytest.raises(UserError, match="coords and visibility"):
            read_kubric(kubric / "0000")
        (odyssey / "scene" / "anno.npz").write_bytes(b"PK\x03\x04")
        with pytest.raises(UserError, match="not a PointOdyssey annotation"):
            read_point_odyssey(odyssey / "scene")

    def test_too_short(self, kubric: Path) -> None:
        with pytest.raises(UserError, match=r"has 6 frames; data\.frames=9"):
            kubric_tracks(str(kubric), 9, (32, 32), 4, "occluded").clips([0])
