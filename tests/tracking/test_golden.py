"""The shipped tracker's tracks stay where they are."""

from __future__ import annotations

import numpy as np
import pytest
from golden_tracks import GOLDEN, track

PIXELS = 0.02
"""Other processors round differently. Other instruction sets of one processor move points by
0.00001 pixels, and changes that mean something by more than this."""
CONFIDENCE = 0.005


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def tracks(golden: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return track(golden["frames"])


@pytest.mark.parametrize("kind", ["", "stream_"], ids=["whole", "stream"])
def test_tracks_have_not_moved(
    kind: str, golden: dict[str, np.ndarray], tracks: dict[str, np.ndarray]
) -> None:
    """If they were meant to move: `python tests/golden_tracks.py`, and say by how much."""
    np.testing.assert_allclose(tracks[f"{kind}xy"], golden[f"{kind}xy"], rtol=0, atol=PIXELS)
    confidence = f"{kind}confidence"
    np.testing.assert_allclose(tracks[confidence], golden[confidence], rtol=0, atol=CONFIDENCE)


def test_the_clip_is_worth_following(golden: dict[str, np.ndarray]) -> None:
    """Points move, some are lost, and a stream knows less than the whole video."""
    assert np.ptp(golden["xy"], axis=1).max() > 5
    confidence = golden["confidence"]
    assert (confidence > 0.5).mean() > 0.3 and (confidence < 0.25).any()
    assert np.abs(golden["xy"] - golden["stream_xy"]).max() > 1
