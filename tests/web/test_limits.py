"""What is too large, or no video at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracker.errors import UserError
from tracker.web.limits import MIB, Limits, check_contents


def test_uploads_up_to_the_limit_pass() -> None:
    limits = Limits(upload=2 * MIB)
    limits.check_upload("clip.mp4", 2 * MIB)
    with pytest.raises(UserError, match=r"clip\.mp4 is larger than the 2 MB"):
        limits.check_upload("clip.mp4", 2 * MIB + 1)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\nclip.mp4\n",
        "ffconcat version 1.0\n",
        "<MPD>",
        "v=0\r\nc=IN IP4 ::1",
        2047 * "ab" + "éé",
    ],
)
def test_text_is_no_video(tmp_path: Path, text: str) -> None:
    # The last one is cut in the middle of a character.
    (tmp_path / "clip.mp4").write_bytes(text.encode())
    with pytest.raises(UserError, match="text and not a video"):
        check_contents(tmp_path / "clip.mp4")


def test_videos_are_no_text(tmp_path: Path, clip: Path) -> None:
    check_contents(clip)
    np.save(tmp_path / "frames.npy", np.zeros((2, 4, 4, 3), np.uint8))
    check_contents(tmp_path / "frames.npy")
