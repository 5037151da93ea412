"""Folders of videos: what is found in them, and what is skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracker.errors import UserError
from tracker.video.video_folder import open_video_folder


def test_every_readable_video_is_found_in_order_and_the_others_are_named(
    video_folder: Path,
) -> None:
    (video_folder / "inner").mkdir()
    (video_folder / "0.mp4").rename(video_folder / "inner" / "last.MP4")
    (video_folder / "notes.txt").write_text("no video, and none that claims to be one")
    found = open_video_folder(video_folder)
    names = [str(Path(path).relative_to(video_folder)) for path in found.videos]
    assert names == ["1.mp4", "inner/last.MP4"]
    assert all(len(video) == 12 and video.size == (96, 80) for video in found.videos.values())
    ((path, reason),) = found.skipped.items()
    assert path == str(video_folder / "broken.mp4") and "broken.mp4" in reason


def test_a_folder_may_hold_none_but_must_be_there(tmp_path: Path) -> None:
    found = open_video_folder(tmp_path)
    assert found.videos == {} and found.skipped == {}
    with pytest.raises(UserError, match="nowhere does not exist"):
        open_video_folder(tmp_path / "nowhere")
