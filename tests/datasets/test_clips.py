"""Clips without tracks: rendered, or cut out of videos."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from numbered_clips import NumberedClips

from tracker.datasets.clips import (
    FAR,
    ProceduralClips,
    VideoClips,
    _back_and_forth,
    clip_or_stand_in,
)
from tracker.errors import UserError


def test_clips_of_videos_are_numbered_and_sized(video_folder: Path) -> None:
    source = VideoClips.from_folder(video_folder, 16, (32, 48))
    assert list(source.skipped) == [str(video_folder / "broken.mp4")]
    clip = source.clip(3)
    assert clip.shape == (16, 3, 32, 48)
    assert torch.equal(clip, source.clip(3))
    assert not torch.equal(clip, source.clip(4))
    assert 0 <= clip.min() <= clip.max() <= 1


def test_short_videos_are_played_back_and_forth() -> None:
    assert _back_and_forth(3, 8).tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert _back_and_forth(1, 3).tolist() == [0, 0, 0]


def test_procedural_clips() -> None:
    clip = ProceduralClips(4, (32, 48)).clip(0)
    assert clip.shape == (4, 3, 32, 48)


def test_folder_without_videos(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no readable video"):
        VideoClips.from_folder(tmp_path, 8, (32, 32))


@pytest.mark.parametrize("size", [128, [128], [64, 0], [32.5, 32]])
def test_sizes_that_are_none(video_folder: Path, size: object) -> None:
    for source in (ProceduralClips, lambda *a: VideoClips.from_folder(video_folder, *a)):
        with pytest.raises(UserError, match="give height and width"):
            source(4, size)


def test_stand_ins_are_far_away_and_always_the_same() -> None:
    source, reasons = NumberedClips(fails=range(3, 5)), []
    clips = [clip_or_stand_in(source, n, reasons) for n in (2, 3, 3, 4, 5)]
    assert source.asked == [2, 3, 3 + FAR, 3, 3 + FAR, 4, 4 + FAR, 5]
    assert torch.equal(clips[1], clips[2]) and not torch.equal(clips[1], clips[3])
    assert reasons == [f"clip {n} is damaged" for n in (3, 3, 4)]


def test_hardly_any_clip_can_be_read() -> None:
    reasons: list[str] = []
    with pytest.raises(UserError, match=r"8 clips in a row.*is damaged"):
        clip_or_stand_in(NumberedClips(fails=range(2**60)), 0, reasons)
    assert len(reasons) == 8
