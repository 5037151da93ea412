"""Optical flow beside the ONNX files, by OpenCV: the tracker's own, in short."""

from __future__ import annotations

import cv2
import numpy as np


class Flow:
    """Flow between frames `(T, H, W, 3) uint8`, chained by links over one or more of them.

    `facts` is what stands under `flow` in tracker.json.
    """

    def __init__(self, frames: np.ndarray, facts: dict) -> None:
        self.facts, self.fields = facts, {}
        shrink = min(1, facts["longest_side"] / max(frames.shape[1:3]))
        size = (round(frames.shape[2] * shrink), round(frames.shape[1] * shrink))
        self.gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
        if shrink < 1:
            self.gray = [cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in self.gray]
        self.method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self.method.setFinestScale(0)

    def lead(self, start: int, end: int, xy: np.ndarray) -> np.ndarray:
        """Return where points `(N, 2)` of frame `start` are in frame `end`."""
        if (start, end) not in self.fields:
            field = self.method.calc(self.gray[start], self.gray[end], None)
            self.fields[start, end] = field.astype(np.float16)
        field = self.fields[start, end].astype(np.float32)
        # OpenCV counts from the middles of pixels, the tracker from the corner of the picture.
        x, y = np.ascontiguousarray((xy - np.float32(0.5)).T)[:, None]
        return xy + cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]

    def chain(self, start: np.ndarray, frame: np.ndarray, size: np.ndarray) -> dict:
        """Return where flow leads points `(N, 2)` of frames `(N,)`, both in frames of `size`."""
        facts, count, (height, width) = self.facts, len(self.gray), self.gray[0].shape
        scale, unit = np.float32([width, height]) / size, np.float32(256 / max(height, width))
        own = np.arange(count) == frame[:, None]
        xy, certainty = np.repeat((start * scale)[:, None], count, 1), own.astype(np.float32)
        variance = np.where(own, 0, np.inf).astype(np.float32)
        links = [(t, t - jump) for t in range(count) for jump in facts["jumps"] if jump <= t]
        for t, past in links + [(count - 1 - t, count - 1 - past) for t, past in links]:
            beyond = frame < t if past < t else frame > t
            rows = np.flatnonzero(beyond & (certainty[:, past] > 0))
            rows = rows[variance[rows, t] - variance[rows, past] > facts["drift"]]
            if not rows.size:
                continue
            moved = self.lead(past, t, xy[rows, past])
            missed = self.lead(t, past, moved) - xy[rows, past]
            error = np.linalg.norm(missed, axis=-1) * unit
            sure = np.minimum(certainty[rows, past], 1 - error / facts["max_round_trip"])
            total = variance[rows, past] + error**2 + facts["link_error"] ** 2
            apart = np.linalg.norm(moved - xy[rows, t], axis=-1) * unit
            corrects = (apart < facts["agreement"]) & (total < variance[rows, t])
            finds = (abs(t - past) == facts["jumps"][0]) | (error < facts["bridge_round_trip"])
            better = (sure > 0) & np.where(certainty[rows, t] > 0, corrects, finds)
            rows, moved, sure, total = (x[better] for x in (rows, moved, sure, total))
            xy[rows, t], certainty[rows, t], variance[rows, t] = moved, sure, total
        inside = own | ((xy >= 0) & (xy <= (width, height))).all(-1)
        return {"flow_xy": xy / scale, "flow_certainty": certainty * inside}
