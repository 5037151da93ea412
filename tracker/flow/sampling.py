"""Reading a field of flow between its pixels."""

from __future__ import annotations

import cv2
import numpy as np

MOST_COLUMNS = 2**15 - 2
"""OpenCV's limit for a side of a picture that it makes."""


def sample(field: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Read a field `(H, W, 2)` at raster positions `(N, 2)`; beyond the border it goes on."""
    field = field.astype(np.float32)
    # OpenCV counts from pixel centres, we from the image's corner.
    x, y = np.ascontiguousarray((xy - 0.5).T, np.float32)[:, None]
    parts = [
        cv2.remap(field, x[:, part], y[:, part], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for part in (slice(k, k + MOST_COLUMNS) for k in range(0, len(xy), MOST_COLUMNS))
    ]
    return np.concatenate(parts, axis=1)[0]
