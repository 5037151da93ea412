"""Kubric: the layout as published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from annotated_folders import tracks

from tracker.datasets.kubric import read_kubric


def test_kubric_visibility_is_inverted_as_published(kubric: Path) -> None:
    xy, visible = tracks(0)
    annotated = read_kubric(kubric / "0000")
    np.testing.assert_array_equal(annotated.xy, xy)
    np.testing.assert_array_equal(annotated.visible, visible)
    np.testing.assert_array_equal(read_kubric(kubric / "0000", inverted=False).visible, ~visible)
