"""Video in and out: `load_video` opens anything that holds frames, `write_video` encodes them."""

from tracker.video.loading import load_video, probe
from tracker.video.source import VideoInfo
from tracker.video.video import Video
from tracker.video.writing import write_video

__all__ = ["Video", "VideoInfo", "load_video", "probe", "write_video"]
