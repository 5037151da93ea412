"""Opening a video: what is known of it, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tracker.errors import UserError
from tracker.video.loading import load_video, probe


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": -1}, "no frames from -1"),
        ({"start": 60}, r"frames 0\.\.59"),
        ({"start": 5, "stop": 5}, "no frames from 5 to 5"),
        ({"stride": 0}, "stride 0"),
        ({"fps": 0.0}, "fps 0"),
        ({"fps": float("nan")}, "fps nan"),
    ],
)
def test_ranges_without_frames_are_refused(clip: Path, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_video(clip, **options)


def test_probe_tells_what_a_video_is(clip: Path) -> None:
    info = probe(clip)
    assert (info.name, info.size, info.num_frames, info.fps) == ("clip.mp4", (64, 48), 60, 24)
    assert (info.codec, info.rotation, info.warning) == ("h264", 0, None)
    assert repr(load_video(clip)) == "Video('clip.mp4', 64x48, 60 frames, 24 fps)"


def test_opening_a_video_does_not_load_torch(clip: Path) -> None:
    code = (
        "import sys; from tracker.video import load_video; "
        f"load_video({str(clip)!r}).read(0, 1); assert 'torch' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
