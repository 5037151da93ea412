"""How much boxes or masks of one frame overlap, and which of several that show one thing stays."""

from __future__ import annotations

import numpy as np


def box_overlaps(boxes: np.ndarray) -> np.ndarray:
    """Return the intersection over union of every pair of boxes, `(N, N)` in 0..1.

    Args:
        boxes: `(N, 4)` pixels, left, top, right and bottom, not empty.
    """
    corner = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    opposite = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(opposite - corner, 0, None).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shared / (areas[:, None] + areas - shared)


def mask_overlaps(masks: np.ndarray) -> np.ndarray:
    """Return the intersection over union of every pair of masks, `(N, N)` in 0..1.

    Args:
        masks: `(N, H, W) bool`, none of them empty.
    """
    flat = masks.reshape(len(masks), masks[0].size if len(masks) else 0).astype(np.float32)
    shared = flat @ flat.T
    areas = np.diag(shared)
    return shared / (areas[:, None] + areas - shared)


def keep_best(overlaps: np.ndarray, scores: np.ndarray, most: float) -> list[int]:
    """Choose the best, and then each next best that overlaps no chosen one by more than `most`.

    This is non-maximum suppression.

    Args:
        overlaps: `(N, N)` in 0..1.
        scores: `(N,)`, the higher the better; of equal ones the first is the better.
        most: in 0..1.

    Returns:
        The chosen numbers, best first.
    """
    chosen: list[int] = []
    for number in np.argsort(-scores, kind="stable").tolist():
        if not (overlaps[number, chosen] > most).any():
            chosen.append(number)
    return chosen
