"""Which videos the arguments of `track` name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracker.cli.options.videos import find_videos
from tracker.errors import UserError


def test_patterns_of_videos_name_each_and_those_of_images_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("clip10.mp4", "clip2.mp4", "shot_1.png", "shot_2.png", "[x].mp4"):
        Path(name).touch()
    assert find_videos(["clip*.mp4"]) == ["clip2.mp4", "clip10.mp4"]
    assert find_videos(["clip2.mp4", "clip*.mp4"]) == ["clip2.mp4", "clip10.mp4"]
    assert find_videos(["shot_*.png"]) == ["shot_*.png"]
    assert find_videos(["shot_%d.png", "clip2.mp4"]) == ["shot_%d.png", "clip2.mp4"]
    assert find_videos(["[x].mp4"]) == ["[x].mp4"]  # a name before it is a pattern
    assert find_videos(["missing*.mp4", "no.mp4"]) == ["missing*.mp4", "no.mp4"]
    with pytest.raises(UserError, match=r"2 images .* quotes, such as '\*.png'"):
        find_videos(["shot_1.png", "shot_2.png"])
