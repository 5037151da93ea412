"""Folders of videos with a subfolder per class."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tracker.errors import UserError
from tracker.pretraining.probe.labelled_videos import LabelledVideos


class TestVideos:
    def test_folder_per_class(self, class_folder: Path) -> None:
        data = LabelledVideos.from_folder(class_folder)
        assert data.classes == ("left", "right") and data.labels == [0] * 4 + [1] * 4
        assert [Path(path).name for path in data.skipped] == ["broken.mp4"]
        train, test = data.split(0.25, 0)
        assert sorted(train + test) == list(range(8))
        assert [data.labels[i] for i in test] == [0, 1]
        assert data.clip(0, 4, (32, 48)).shape == (4, 3, 32, 48)
        # More frames than there are: some come twice.
        assert data.clip(0, 16, (32, 48)).shape == (16, 3, 32, 48)

    def test_videos_that_break_off_are_skipped(
        self, class_folder: Path, tmp_path: Path, write_damaged: Callable[[Path], None]
    ) -> None:
        shutil.copytree(class_folder, tmp_path / "classes")
        damaged = [tmp_path / "classes" / name / "9.mp4" for name in ("left", "right")]
        for path in damaged:
            write_damaged(path)
        data = LabelledVideos.from_folder(tmp_path / "classes")
        assert len(data.labels) == 10
        found = list(data.readable(range(10), 4, (32, 48)))
        assert [labels["class"] for _, labels in found] == [0] * 4 + [1] * 4
        assert all(clip.shape == (4, 3, 32, 48) for clip, _ in found)
        assert all("could only be decoded" in data.skipped[str(path)] for path in damaged)

    def test_bad_folders(self, tmp_path: Path, class_folder: Path) -> None:
        with pytest.raises(UserError, match="does not exist"):
            LabelledVideos.from_folder(tmp_path / "nowhere")
        with pytest.raises(UserError, match="has 0 subfolders"):
            LabelledVideos.from_folder(tmp_path)
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        with pytest.raises(UserError, match="holds 0 readable videos"):
            LabelledVideos.from_folder(tmp_path)
