"""Files that ffmpeg decodes: containers, seeking, damage, rotation, rates."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_tracker

from tracker.errors import UserError, log
from tracker.points.queries import Queries
from tracker.video import decoder
from tracker.video.loading import load_video, probe
from tracker.video.video import Video
from tracker.video.writing import write_video

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


@pytest.mark.parametrize(
    ("aspect", "shown"), [("16/11", (93, 48)), ("8/9", (64, 54)), ("1/1", (64, 48))]
)
def test_pixels_that_are_not_square_are_stretched(
    clip: Path, ffmpeg: Callable[..., None], tmp_path: Path, aspect: str, shown: tuple[int, int]
) -> None:
    path = tmp_path / "sar.mp4"
    ffmpeg("-i", clip, "-vf", f"setsar={aspect}", path)
    video = load_video(path)
    assert video.size == shown and video[7].shape == (shown[1], shown[0], 3)
    assert video.info.pixel_aspect == pytest.approx(float(Fraction(aspect)), abs=1e-3)
    stored = load_video(clip).read()
    assert np.abs(video.read().mean(axis=(1, 2)) - stored.mean(axis=(1, 2))).max() < 3


def test_a_turned_video_is_stretched_before_it_is_turned(
    clip: Path, ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    ffmpeg("-i", clip, "-vf", "setsar=2/1", tmp_path / "wide.mp4")
    turn = ["-display_rotation", "90", "-i", tmp_path / "wide.mp4", "-c", "copy"]
    ffmpeg(*turn, tmp_path / "turned.mp4")
    assert load_video(tmp_path / "turned.mp4").size == (48, 128)


@pytest.fixture(scope="module")
def interlaced(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Callable[..., None]) -> Path:
    """30 frames whose odd and even lines are of different times of a moving edge."""
    path = tmp_path_factory.mktemp("interlaced") / "fields.mkv"
    picture = np.zeros((60, 64, 96, 3), np.uint8)
    for t, frame in enumerate(picture):
        frame[:, 4 + t : 24 + t] = 255
    write_video(path.with_suffix(".mp4"), picture, fps=50)
    weave = "tinterlace=interleave_top,setfield=tff"
    codec = ["-c:v", "libx264", "-flags", "+ildct+ilme", "-x264-params", "tff=1:keyint=8"]
    ffmpeg("-i", path.with_suffix(".mp4"), "-vf", weave, *codec, path)
    return path


def combing(frames: np.ndarray) -> float:
    """How much neighbouring lines differ, more than those two apart."""
    gray = frames[..., 1].astype(float)
    near = np.abs(gray[:, 1:-1] - gray[:, :-2]).mean()
    return near - np.abs(gray[:, 2:] - gray[:, :-2]).mean()


def test_interlaced_video_is_told_and_made_whole(interlaced: Path) -> None:
    video, warned = quiet_load(interlaced)
    assert video.info.interlaced and len(warned) == 1 and "--deinterlace" in warned[0]
    whole = load_video(interlaced, deinterlace=True)
    assert not whole.info.interlaced and len(whole) == len(video) == 30
    assert combing(video.read()) > 5 and combing(whole.read()) < 0.5


def test_any_range_of_a_deinterlaced_video_is_the_same(interlaced: Path) -> None:
    video = load_video(interlaced, deinterlace=True)
    whole = video.read()
    for start in range(0, 29, 3):
        # The last frame of a range is made with the one after it, too.
        np.testing.assert_array_equal(video.read(start, start + 2), whole[start : start + 2])
    np.testing.assert_array_equal(video.read(25), whole[25:])


def test_progressive_video_is_not_called_interlaced(encoded: Callable[[str], Path]) -> None:
    assert not load_video(encoded("mp4")).info.interlaced


@pytest.fixture
def song(ffmpeg: Callable[..., None], tmp_path: Path) -> Path:
    """Sound with a picture of its cover."""
    ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", tmp_path / "cover.png")
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.5", tmp_path / "sound.mp3")
    cover = ["-map", "0:a", "-map", "1:v", "-c", "copy", "-disposition:v", "attached_pic"]
    path = tmp_path / "song.mp3"
    ffmpeg("-i", tmp_path / "sound.mp3", "-i", tmp_path / "cover.png", *cover, path)
    return path


def test_sound_with_a_cover_is_no_video(song: Path) -> None:
    with pytest.raises(UserError, match=r"^\S*song\.mp3 holds no video but a cover picture"):
        load_video(song)


def test_a_video_with_a_cover_is_the_video(
    clip: Path, ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", tmp_path / "cover.png")
    path = tmp_path / "covered.mp4"
    first = ["-map", "1:v", "-map", "0:v", "-c", "copy", "-disposition:v:0", "attached_pic"]
    ffmpeg("-i", clip, "-i", tmp_path / "cover.png", *first, path)
    video, warned = quiet_load(path)
    assert not warned and video.size == (64, 48) and len(video) == 60
    np.testing.assert_array_equal(video.read(20, 30), load_video(clip).read(20, 30))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time stamps of all frames that are decoded from now on."""
    stamps: list[int] = []
    good_frames = decoder._good_frames

    def counting(
        container: av.container.InputContainer, stream: av.VideoStream
    ) -> Iterator[av.VideoFrame]:
        for frame in good_frames(container, stream):
            stamps.append(frame.pts)
            yield frame

    monkeypatch.setattr(decoder, "_good_frames", counting)
    return stamps


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("stride", [1, 3])
def test_reading_on_decodes_nothing_twice(
    encoded: Callable[[str], Path], kind: str, stride: int, decoded: list[int]
) -> None:
    video = load_video(encoded(kind), stride=stride)
    whole = video.read()
    decoded.clear()
    parts = [video.read(start, start + 7) for start in range(0, len(video), 7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert len(decoded) <= 60


def test_two_readers_do_not_disturb_each_other(clip: Path) -> None:
    video = load_video(clip)
    whole = video.read()
    video.read(0, 5)
    one, two = video.frames(5, 20), video.frames(5, 30)
    for frame in whole[5:20]:
        np.testing.assert_array_equal(next(one), frame)
        np.testing.assert_array_equal(next(two), frame)
    np.testing.assert_array_equal(video.read(20, 25), whole[20:25])
    np.testing.assert_array_equal(next(two), whole[20])


def test_tracking_decodes_each_frame_once_each_way(clip: Path, decoded: list[int]) -> None:
    video, tracker = load_video(clip), tiny_tracker()
    decoded.clear()
    tracker.track(video, Queries([[0, 20, 20]]))
    assert 60 <= len(decoded) <= 66
    decoded.clear()
    tracker.open(video, memory=0).track(Queries([[0, 20, 20], [59, 20, 20]]))
    assert 110 < len(decoded) <= 126  # backwards without the block of the last query


def test_frames_far_apart_cost_one_pass_at_most(clip: Path, decoded: list[int]) -> None:
    video = load_video(clip)
    whole = video.read()
    decoded.clear()
    for t in (0, 18, 19, 38, 59):
        np.testing.assert_array_equal(video[t], whole[t])
    assert len(decoded) <= 60
