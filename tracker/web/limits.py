"""How much a visitor may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tracker.errors import UserError
from tracker.video.video import Video

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds of what a visitor brings, so that one cannot take the machine from the others.

    Attributes:
        upload: bytes of an uploaded file.
        frames: of a video.
        pixels: of a frame.
        points: that are followed at once.
        visitors: at the same time.
    """

    upload: int = 500 * MIB
    frames: int = 3000
    pixels: int = 4096 * 2304
    points: int = 1000
    visitors: int = 8

    def check_upload(self, name: str, size: int) -> None:
        """Refuse an upload that is too large.

        Args:
            name: of the file, for the message.
            size: bytes, as far as they are known.

        Raises:
            UserError: it is.
        """
        if size > self.upload:
            raise UserError(
                f"{name} is larger than the {self.upload / MIB:g} MB that may be uploaded; cut it "
                "or make it smaller, or start the page with a larger --max-mb"
            )

    def check_video(self, video: Video) -> None:
        """Refuse a video that is too long or too large.

        Raises:
            UserError: it is.
        """
        width, height = video.size
        if len(video) > self.frames:
            raise UserError(
                f"{video.name} has {len(video)} frames, and a video may have {self.frames} here; "
                "cut it, or start the page with a larger --max-frames"
            )
        if width * height > self.pixels:
            raise UserError(
                f"{video.name} is {width}x{height}, and a frame may have {self.pixels / 1e6:.1f} "
                "million pixels here; make the video smaller"
            )


def check_contents(path: Path) -> None:
    """Refuse an uploaded file that is text.

    ffmpeg follows playlists to other files of this machine, which are not the visitor's to see;
    a playlist is text, and a video is not.

    Raises:
        UserError: it is empty, or text.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise UserError(f"{path.name} is empty (0 bytes); choose another file")
    # A character may be cut off at the end of what was read.
    ends = (head, head[:-1], head[:-2], head[:-3])
    if b"\0" not in head and any(_is_utf8(part) for part in ends):
        raise UserError(f"{path.name} is text and not a video; choose a video file")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
