"""Rendered scenes as a benchmark."""

from __future__ import annotations

import numpy as np

from tracker.datasets.rendered import ProceduralBenchmark
from tracker.scenes.renderer import SceneConfig


def test_rendered_scenes_are_the_same_every_time() -> None:
    config = SceneConfig(frames=4, height=48, width=64, points=6)
    benchmark = ProceduralBenchmark(scenes=2, config=config)
    loaders = dict(benchmark)
    assert list(loaders) == ["scene-000", "scene-001"]
    one, again = (load() for load in (loaders["scene-001"], dict(benchmark)["scene-001"]))
    assert one.video.size == (64, 48) and one.points.shape == (6, 4, 2)
    np.testing.assert_array_equal(one.video.read(), again.video.read())
    np.testing.assert_array_equal(one.points, again.points)
    other = loaders["scene-000"]()
    assert not np.array_equal(one.video.read(), other.video.read())
    inside = (one.points >= 0).all(-1) & (one.points <= 1).all(-1)
    assert inside[~one.occluded].all()
