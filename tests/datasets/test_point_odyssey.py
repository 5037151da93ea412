"""PointOdyssey: the layout as published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from annotated_folders import tracks

from tracker.datasets.point_odyssey import read_point_odyssey


def test_point_odyssey_axes_and_validity(odyssey: Path) -> None:
    xy, visible = tracks(0)
    annotated = read_point_odyssey(odyssey / "scene")
    np.testing.assert_array_equal(annotated.xy, xy)
    assert not annotated.visible[1, 2:].any()
    np.testing.assert_array_equal(annotated.visible[2:], visible[2:])
