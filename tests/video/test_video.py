"""`Video`: ranges, strides, chunks, resizing, and encoding."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import UserError
from tracker.video.loading import load_video, probe
from tracker.video.video import Video
from tracker.video.writing import write_video

COUNTING = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 4, 6, 3))


def numbers(frames: np.ndarray) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in frames]


@settings(deadline=None, max_examples=80)
@given(
    start=st.integers(0, 45),
    stop=st.none() | st.integers(-5, 45),
    stride=st.integers(1, 9),
    inner=st.tuples(st.integers(0, 45), st.integers(0, 45)),
    again=st.integers(1, 4),
)
def test_ranges_are_those_of_python(
    start: int, stop: int | None, stride: int, inner: tuple[int, int], again: int
) -> None:
    expected = list(range(40))[start:stop:stride]
    if not expected:
        with pytest.raises(UserError, match="no frames from"):
            load_video(COUNTING, start, stop, stride)
        return
    video = load_video(COUNTING, start, stop, stride)
    assert numbers(video.read()) == expected and len(video) == len(expected)
    assert numbers(video.read(*inner)) == expected[slice(*inner)]
    assert numbers(video.select(stride=again).read()) == expected[::again]
    assert video.select(stride=again).fps == pytest.approx(24 / stride / again)
    last = len(video) - 1
    assert numbers(list(video.reversed_frames(last))) == expected[::-1]


@pytest.mark.parametrize(("start", "stride"), [(0, 1), (3, 4), (59, 7)])
def test_stride_of_a_file(clip: Path, clip_frames: np.ndarray, start: int, stride: int) -> None:
    video = load_video(clip, start, None, stride)
    np.testing.assert_array_equal(video.read(), load_video(clip).read()[start::stride])


@settings(deadline=None, max_examples=30)
@given(length=st.integers(1, 50))
def test_chunks_are_the_video_in_order(length: int) -> None:
    chunks = list(load_video(COUNTING).chunks(length))
    assert all(len(chunk) == length for chunk in chunks[:-1]) and len(chunks[-1]) <= length
    assert numbers(np.concatenate(chunks)) == list(range(40))


def test_chunks_do_not_grow_with_the_video() -> None:
    frame = np.zeros((1, 1, 1, 3), np.uint8)
    video = Video.from_array(np.broadcast_to(frame, (10_000, 360, 640, 3)))
    first = next(video.chunks())
    assert 40 * 2**20 < first.nbytes <= 48 * 2**20


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


def test_resized_frames_keep_their_place() -> None:
    frame = np.zeros((4, 40, 60, 3), np.uint8)
    frame[:, :20, :30] = 200  # the upper left quarter stays the upper left quarter
    small = load_video(frame).resized((30, 10))
    assert small.size == (30, 10) and len(small) == 4
    picture = small.read(1, 2)[0].astype(int)
    assert (picture[:4, :13] > 190).all() and (picture[6:] < 10).all()
    assert (picture[:, 17:] < 10).all()


@settings(deadline=None, max_examples=6)
@given(width=st.integers(1, 35), height=st.integers(1, 35))
def test_any_size_can_be_encoded(
    width: int, height: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("odd") / "odd.mp4"
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(60, 200, (1, 1, 1, 3), np.uint8), 3, axis=0)
    frames = np.broadcast_to(frames, (3, height, width, 3))
    assert write_video(path, frames, fps=10) == 3
    video = load_video(path)
    assert video.size == (width + width % 2, height + height % 2)
    # The repeated row or column has the picture's colour, not black.
    assert np.abs(video.read().astype(int) - frames[0, 0, 0]).max() < 25


def test_encoding_keeps_frames_rate_and_order(clip: Path, clip_frames: np.ndarray) -> None:
    video = load_video(clip)
    assert (len(video), video.fps) == (60, 24)
    decoded = video.read().astype(int)
    # Lossy, but every frame is nearer to its own original than any is to the next.
    own = np.abs(decoded - clip_frames).mean(axis=(1, 2, 3))[:-1]
    following = np.abs(decoded[:-1] - clip_frames[1:]).mean(axis=(1, 2, 3))
    assert own.max() < following.min()
    assert [p.name for p in clip.parent.iterdir()] == ["clip.mp4"]


def test_encoding_counts_frames_for_a_progress_bar(tmp_path: Path) -> None:
    seen = []
    write_video(tmp_path / "a.mp4", COUNTING[:7], 24, on_frame=lambda: seen.append(1))
    assert len(seen) == 7


def test_encoding_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("old")

    def frames() -> Iterator[np.ndarray]:
        yield np.zeros((8, 8, 3), np.uint8)
        raise UserError("frame 1 is broken")

    with pytest.raises(UserError, match="frame 1 is broken"):
        write_video(path, frames(), 24)
    with pytest.raises(UserError, match="no frames to write"):
        write_video(path, [], 24)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(UserError, match=r"cannot write .*x\.mp4"):
        write_video(tmp_path / "nowhere" / "x.mp4", COUNTING, 24)


def test_opening_a_video_does_not_load_torch(clip: Path) -> None:
    code = (
        "import sys; from tracker.video import load_video; "
        f"load_video({str(clip)!r}).read(0, 1); assert 'torch' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
