"""The trained part: projection and adapter, RGB stem, correlation, coarse match, refinement.

Positions inside the head are raster pixels of the *fine image*, the frames that the RGB stem sees.
"""

from tracker.head.config import HeadConfig
from tracker.head.tracking_head import HeadOutput, TrackingHead

__all__ = ["HeadConfig", "HeadOutput", "TrackingHead"]
