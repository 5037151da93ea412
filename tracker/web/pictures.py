"""Frames of a video as the browser shows them, each encoded once while there is room."""

from __future__ import annotations

from threading import Lock

import cv2
import numpy as np

from tracker.errors import UserError
from tracker.memory import BoundedMemory
from tracker.video.video import Video

QUALITY = 92

LONGEST_SIDE = 2560
"""Larger frames are sent smaller; places are in pixels of the video all the same."""

AHEAD = 8
"""Frames that are decoded at once, for who looks at one mostly looks at the next."""

MEMORY = 96 * 2**20
"""Bytes of encoded frames that a visitor may occupy."""


class FramePictures:
    """Frames as JPEG, in any order and from any thread.

    Args:
        video: that nobody else reads from, for a decoder serves one reader at a time.
    """

    def __init__(self, video: Video) -> None:
        self._video = video
        self._lock = Lock()
        self._kept = BoundedMemory(MEMORY)

    def jpeg(self, t: int) -> bytes:
        """Return frame `t` as JPEG.

        Raises:
            UserError: there is no such frame, or it cannot be decoded.
        """
        if not 0 <= t < len(self._video):
            raise UserError(f"frame {t} is none of the video's, 0..{len(self._video) - 1}")
        with self._lock:
            data = self._kept.find(t)
            if data is not None:
                return data
            ahead = min(AHEAD, self._video.chunk_length)
            try:
                for number, frame in enumerate(self._video.frames(t, t + ahead), start=t):
                    encoded = _encode(frame)
                    self._kept.keep(number, encoded, len(encoded))
                    data = encoded if number == t else data
            except UserError:
                if data is None:  # those that come after it may be damaged
                    raise
        if data is None:
            raise UserError(f"frame {t} of {self._video.name} cannot be decoded")
        return data

    def frame(self, t: int) -> np.ndarray:
        """Return frame `t` as it is, `(H, W, 3) uint8`.

        Raises:
            UserError: it cannot be decoded.
        """
        with self._lock:
            return self._video[t]


def _encode(frame: np.ndarray) -> bytes:
    longest = max(frame.shape[:2])
    if longest > LONGEST_SIDE:
        scale = LONGEST_SIDE / longest
        frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # Colours at full resolution, or small dots would be blurred.
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, QUALITY),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)
    if not ok:
        raise UserError("a frame cannot be encoded as JPEG")
    return data.tobytes()
