"""Videos sorted into classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tracker.video import write_video


@pytest.fixture(scope="module")
def class_folder(
    tmp_path_factory: pytest.TempPathFactory, make_frames: Callable[..., np.ndarray]
) -> Path:
    """Videos that move to the right, and the same ones backwards; one file is damaged."""
    root = tmp_path_factory.mktemp("classes")
    for name, step in (("right", 1), ("left", -1)):
        (root / name).mkdir()
        for seed in range(4):
            write_video(root / name / f"{seed}.mp4", make_frames(10, seed=seed)[::step], fps=10)
    (root / "left" / "broken.mp4").write_bytes(b"no video")
    return root
