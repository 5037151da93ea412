"""Videos are layers, and layers videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari.layers", reason="needs the extra napari")

from napari.components import ViewerModel
from napari.layers import Image

from tracker.errors import UserError
from tracker.napari.videos import VideoArray, bee_layers, get_reader, video_of
from tracker.video.loading import load_video


def test_a_file_is_read_as_an_array_would_be(clip: Path) -> None:
    frames, array = load_video(clip).read(), VideoArray(clip)
    assert (array.shape, array.dtype, array.ndim) == (frames.shape, frames.dtype, 4)
    for index in [(0,), (59,), (-1,), (slice(3, 9, 2),), (7, slice(2, 5), slice(None), 1)]:
        np.testing.assert_array_equal(array[index], frames[index])
    np.testing.assert_array_equal(array[5], frames[5])
    np.testing.assert_array_equal(np.asarray(array), frames)


def test_napari_opens_a_file_and_shows_its_frames(clip: Path) -> None:
    viewer, read = ViewerModel(), get_reader(str(clip))
    assert read is not None and get_reader([str(clip)]) is None
    ((data, options, kind),) = read(str(clip))
    layer = viewer.add_image(data, **options)
    assert kind == "image" and layer.name == clip.stem and layer.rgb and layer.ndim == 3
    frames = load_video(clip).read()
    for t in (0, 41):
        viewer.dims.set_current_step(0, t)
        np.testing.assert_array_equal(layer.get_value((t, 20, 30)), frames[t, 20, 30])
    video = video_of(layer)
    assert len(video) == 60 and video.fps == 24
    np.testing.assert_array_equal(video[41], frames[41])


def test_the_sample_is_a_video() -> None:
    ((data, options, _),) = bee_layers()
    assert data.shape[-1] == 3 and options["name"] == "bee"


def test_layers_are_tracked_as_they_are_seen(clip_frames: np.ndarray) -> None:
    colours = Image(clip_frames[:4], rgb=True)
    np.testing.assert_array_equal(video_of(colours).read(), clip_frames[:4])
    levels = np.linspace(0, 1200, 4 * 6 * 5).reshape(4, 6, 5).astype(np.uint16)
    video = video_of(Image(levels, contrast_limits=(200, 1000)))
    assert video.size == (5, 6) and len(video) == 4
    expected = np.clip((levels - 200.0) / 800, 0, 1) * 255
    assert np.abs(video.read().astype(float) - expected[..., None]).max() <= 0.5
    pyramid = Image([levels, levels[:, ::2, ::2]], multiscale=True, contrast_limits=(0, 1200))
    assert video_of(pyramid).size == (5, 6)


@pytest.mark.parametrize(
    ("shape", "rgb"), [((6, 5), False), ((2, 4, 6, 5), False), ((6, 5, 3), True)]
)
def test_what_is_no_video_is_refused(shape: tuple, rgb: bool) -> None:
    layer = Image(np.zeros(shape, np.uint8), rgb=rgb, name="stack")
    with pytest.raises(UserError, match="'stack' has shape"):
        video_of(layer)
