"""Visitors: each has a folder, a video and points of their own, and takes them along."""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path
from shutil import rmtree
from threading import Lock

from tracker.errors import UserError
from tracker.registry import Tracker
from tracker.web.limits import Limits, check_contents
from tracker.web.work import Work

LONGEST_NAME = 80

IDLE = 3600.0
"""Seconds after which somebody who does nothing makes room for others."""


class Visit:
    """What one visitor has; used by several threads at once.

    Args:
        folder: for files of this visitor alone.
        tracker: follows the points.
        limits: what they may bring.
    """

    def __init__(self, folder: Path, tracker: Tracker, limits: Limits) -> None:
        self.token = secrets.token_urlsafe(24)
        """Who knows it is this visitor."""
        self.folder = folder
        self.limits = limits
        self.seen = time.monotonic()
        """When they last did something."""
        self._tracker = tracker
        self._work: Work | None = None
        self._opened = 0

    @property
    def work(self) -> Work:
        """The video that is open.

        Raises:
            UserError: none is.
        """
        if self._work is None:
            raise UserError("there is no video yet; drop one on the page, or choose a file")
        return self._work

    @property
    def has_video(self) -> bool:
        """Whether a video is open."""
        return self._work is not None

    def upload_path(self, name: str) -> Path:
        """Return where a file goes that the visitor uploads under this name."""
        kept = re.sub(r"[^\w .-]", "_", Path(name).name).strip(". ")[-LONGEST_NAME:] or "video"
        return self.folder / secrets.token_hex(4) / kept

    def open_upload(self, path: Path) -> None:
        """Open a file of `upload_path`, and let go of the one before; a bad file is deleted.

        Raises:
            UserError: no video, a damaged one, or one beyond the limits.
        """
        try:
            check_contents(path)
            self.open(path)
        except UserError as error:
            rmtree(path.parent, ignore_errors=True)
            raise UserError(self.plain(error)) from error
        for folder in self.folder.iterdir():
            if folder != path.parent:
                rmtree(folder, ignore_errors=True)

    def open(self, path: Path) -> None:
        """Open a video; the one before is let go, with its points.

        Raises:
            UserError: no video, a damaged one, or one beyond the limits.
        """
        self._opened += 1
        work = Work(path, self._opened, self._tracker, self.limits)
        if self._work is not None:
            self._work.stop()
        self._work = work

    def plain(self, error: UserError) -> str:
        """Return an error's line without the folder, which is nothing that the visitor knows."""
        return re.sub(rf"{re.escape(str(self.folder))}/\w+/", "", str(error))

    def close(self) -> None:
        """Stop what is running, and delete the visitor's files."""
        if self._work is not None:
            self._work.stop()
        self._work = None
        rmtree(self.folder, ignore_errors=True)


class Visits:
    """All visitors.

    Args:
        root: a folder for what they bring.
        tracker: follows their points.
        limits: what each may bring.
        video: that each finds open; None for none.
    """

    def __init__(
        self, root: Path, tracker: Tracker, limits: Limits, video: Path | None = None
    ) -> None:
        self._root, self._tracker, self._limits, self._video = root, tracker, limits, video
        self._visits: dict[str, Visit] = {}
        self._lock = Lock()

    def begin(self, key: str) -> Visit:
        """Welcome a visitor.

        Args:
            key: of the browser's page, as Gradio names it; one that is known begins anew.

        Raises:
            UserError: there are too many, or the first video cannot be opened any more.
        """
        self.end(key)
        folder = self._root / secrets.token_hex(8)
        visit = Visit(folder, self._tracker, self._limits)
        with self._lock:
            idle = [k for k, v in self._visits.items() if time.monotonic() - v.seen > IDLE]
            for other in idle if len(self._visits) >= self._limits.visitors else []:
                self._visits.pop(other).close()
            if len(self._visits) >= self._limits.visitors:
                raise UserError(
                    f"there are {len(self._visits)} visitors already, and no room for more; "
                    "come back later"
                )
            folder.mkdir(parents=True)
            self._visits[key] = visit
        if self._video is not None:
            visit.open(self._video)
        return visit

    def end(self, key: str) -> None:
        """Let a visitor go, with everything they brought; nothing happens if they are unknown."""
        with self._lock:
            visit = self._visits.pop(key, None)
        if visit is not None:
            visit.close()

    def of(self, key: str) -> Visit:
        """Return the visitor of a page.

        Raises:
            UserError: they have left, or never came.
        """
        visit = self._visits.get(key)
        if visit is None:
            raise UserError("this page is not known here any more; reload it")
        visit.seen = time.monotonic()
        return visit

    def find(self, token: str) -> Visit | None:
        """Return the visitor who has this token, if any."""
        with self._lock:
            visits = list(self._visits.values())
        found = [v for v in visits if secrets.compare_digest(v.token.encode(), token.encode())]
        for visit in found:
            visit.seen = time.monotonic()
        return found[0] if found else None
