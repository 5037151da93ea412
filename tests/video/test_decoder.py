"""Files that ffmpeg decodes: containers, seeking, damage, rotation, rates."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import UserError, log
from tracker.video.loading import load_video, probe
from tracker.video.video import Video

CONTAINERS = ["mp4", "mkv", "ts", "h264", "open_gop.mkv", "avi", "mjpeg.avi"]


def quiet_load(path: Path) -> tuple[Video, list[str]]:
    """Open a video; return the warnings with it."""
    logged: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = logged.append
    log.addHandler(handler)
    try:
        return load_video(path), [record.getMessage() for record in logged]
    finally:
        log.removeHandler(handler)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_any_range_equals_decoding_from_the_start(
    encoded: Callable[[str], Path], kind: str, clip_frames: np.ndarray
) -> None:
    video, warned = quiet_load(encoded(kind))
    assert not warned and video.info.warning is None
    assert len(video) == 60 and video.size == (64, 48)
    whole = video.read()
    # Lossy, but the right frames in the right order: the next frame is much further off.
    lossy = np.abs(whole.astype(int) - clip_frames).mean(axis=(1, 2, 3))
    shifted = np.abs(whole[1:].astype(int) - clip_frames[:-1]).mean(axis=(1, 2, 3))
    assert lossy.max() < shifted.min()

    @settings(deadline=None, max_examples=10)
    @given(st.integers(0, 60), st.integers(0, 60))
    def check(start: int, stop: int) -> None:
        np.testing.assert_array_equal(video.read(start, stop), whole[start:stop])

    check()
    np.testing.assert_array_equal(list(video.reversed_frames(37)), whole[37::-1])


def whole_packets(path: Path, size: int) -> int:
    """How many of a file's packets lie in its first `size` bytes."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    return sum(p.pos + p.size <= size for p in packets)


@pytest.mark.parametrize("share", [0.35, 0.8])
@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "mjpeg.avi", "open_gop.mkv"])
def test_truncated_file_is_read_up_to_its_last_good_frame(
    encoded: Callable[[str], Path], kind: str, share: float, tmp_path: Path
) -> None:
    data = encoded(kind).read_bytes()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(data[: int(share * len(data))])
    video, warned = quiet_load(path)
    assert len(warned) == 1 and warned[0] == video.info.warning
    assert str(path) in warned[0] and f"only its first {len(video)} frames" in warned[0]
    # Frames that come before a missing one only in the order of the file do not count.
    whole = whole_packets(encoded(kind), path.stat().st_size)
    assert whole - 5 <= len(video) <= whole < 60
    np.testing.assert_array_equal(video.read(), load_video(encoded(kind)).read(0, len(video)))
    # From inside too, which seeks.
    half = len(video) // 2
    np.testing.assert_array_equal(video.read(half), video.read()[half:])


@pytest.mark.parametrize("kind", ["ts", "h264"])
@pytest.mark.parametrize("share", [0.55, 0.85])
def test_streams_without_a_length_can_be_cut_anywhere(
    encoded: Callable[[str], Path], kind: str, share: float, tmp_path: Path
) -> None:
    data = encoded(kind).read_bytes()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(data[: int(share * len(data))])
    video, _ = quiet_load(path)
    assert 0.5 * share * 60 < len(video) < 60
    assert len(video.read()) == len(video)


def test_mp4_without_its_index_is_refused(clip: Path, tmp_path: Path) -> None:
    data = clip.read_bytes()
    assert data.index(b"moov") > len(data) // 2  # at the end, where a cut loses it
    for share in (0.3, 0.9):
        path = tmp_path / f"cut-{share}.mp4"
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(UserError, match=r"cut-.*\.mp4"):
            load_video(path)


def test_damage_in_the_middle_ends_the_video_there(
    encoded: Callable[[str], Path], tmp_path: Path
) -> None:
    path = tmp_path / "hole.mjpeg.avi"
    data = bytearray(encoded("mjpeg.avi").read_bytes())
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
    video, warned = quiet_load(path)
    assert len(warned) == 1 and 10 < len(video) < 60
    assert len(video.read()) == len(video)


@pytest.mark.parametrize("start", ["0.6", "1.3"])
def test_trimmed_without_encoding_is_not_damaged(
    encoded: Callable[[str], Path], ffmpeg: Callable[..., None], tmp_path: Path, start: str
) -> None:
    # Phones trim so: earlier frames stay in the file, and its edit list hides them.
    path = tmp_path / "trimmed.mp4"
    ffmpeg("-ss", start, "-i", encoded("mp4"), "-c", "copy", path)
    video, warned = quiet_load(path)
    assert not warned
    expected = round(60 - 24 * float(start))
    assert abs(len(video) - expected) <= 1
    whole = load_video(encoded("mp4")).read()
    np.testing.assert_array_equal(video.read(), whole[-len(video) :])
    np.testing.assert_array_equal(video.read(9, 14), whole[-len(video) :][9:14])


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_rotation_tag_is_honoured(
    tmp_path: Path, make_frames: Callable[..., np.ndarray], degrees: int
) -> None:
    path = tmp_path / "phone.mp4"
    frames = make_frames(3)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        stream.set_display_rotation(degrees)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    video = load_video(path)
    assert video.info.rotation == degrees % 360
    assert video.size == ((48, 64) if degrees % 180 else (64, 48))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(path)]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    reference = subprocess.run(command, check=True, capture_output=True).stdout
    reference = np.frombuffer(reference, np.uint8).reshape(3, *video.size[::-1], 3)
    difference = np.abs(video.read().astype(int) - reference)
    assert difference.mean() < 1.0
    assert np.abs(video.read()[:, ::-1].astype(int) - reference).mean() > 10


def test_variable_frame_rate_is_reported(
    clip: Path, encoded: Callable[[str], Path], ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "variable.mp4"
    ffmpeg("-i", clip, "-vf", r"select=lt(n\,20)+not(mod(n\,5))", "-fps_mode", "vfr", path)
    info = probe(path)
    assert info.variable_frame_rate and info.num_frames == 28
    assert not probe(clip).variable_frame_rate
    assert not probe(encoded("mkv")).variable_frame_rate  # stamps rounded to milliseconds


def test_long_last_frame_is_not_damage(
    clip: Path, ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    filters = r"setpts=(N+if(eq(N\,59)\,200\,0))/TB/24"
    for suffix in ("mp4", "mkv"):
        path = tmp_path / f"held.{suffix}"
        ffmpeg("-i", clip, "-vf", filters, "-fps_mode", "vfr", path)
        video, warned = quiet_load(path)
        assert not warned and len(video) == 60


def test_sound_longer_than_the_picture_is_not_damage(
    clip: Path, ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    for suffix in ("mp4", "mkv"):
        path = tmp_path / f"sound.{suffix}"
        ffmpeg("-i", clip, "-f", "lavfi", "-i", "sine=d=6", "-c:v", "copy", path)
        video, warned = quiet_load(path)
        assert not warned and len(video) == 60
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    video, warned = quiet_load(path)
    assert len(warned) == 1 and len(video.read()) == len(video) < 60
