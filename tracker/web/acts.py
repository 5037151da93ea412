"""What the canvas asks for: each act of a visitor, as JSON brings it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np

from tracker.errors import UserError
from tracker.files import UNREADABLE_IMAGE
from tracker.points.queries import Queries
from tracker.web.work import Work

Request = dict[str, Any]

MOST_ROWS = 200
"""Of a grid; of one over a painted mask only the points inside are kept."""


def act(work: Work, request: Request) -> None:
    """Do what a visitor asks for.

    Args:
        work: the visitor's video and points.
        request: one of `ACTS` under `do`, and what it takes.

    Raises:
        UserError: it cannot be done, or it is not what the canvas sends.
    """
    try:
        with work.lock:
            ACTS[request["do"]](work, request)
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"the page sent what cannot be done ({error}); reload it") from error


def _add(work: Work, request: Request) -> None:
    work.board.add(int(request["t"]), float(request["x"]), float(request["y"]))


def _place(work: Work, request: Request) -> None:
    place = float(request["x"]), float(request["y"])
    work.board.place(int(request["number"]), int(request["t"]), *place)


def _grid(work: Work, request: Request) -> None:
    n, t, mask = _sources(work, request)
    if n > MOST_ROWS:
        raise UserError(f"a grid of {n}x{n} has too many points; give {MOST_ROWS} or less")
    if mask is None:
        work.board.add_all(Queries.grid(n, work.size, t))
    else:
        work.board.add_all(Queries.inside(mask, n, t))


def _corners(work: Work, request: Request) -> None:
    n, t, mask = _sources(work, request)
    if n > work.board.most:
        raise UserError(f"{n} corners are too many; choose a smaller number")
    work.board.add_all(Queries.corners(work.pictures.frame(t), n, t, mask))


def _sources(work: Work, request: Request) -> tuple[int, int, np.ndarray | None]:
    n, t = int(request["n"]), int(request["t"])
    if not 0 <= t < work.num_frames:
        raise UserError(f"frame {t} is none of the video's, 0..{work.num_frames - 1}")
    painted = request.get("mask")
    return n, t, painted_mask(painted, work.size) if painted else None


def painted_mask(data_url: str, size: tuple[int, int]) -> np.ndarray:
    """Read a mask that was painted in the browser.

    Args:
        data_url: a PNG in base64; where it is opaque, the mask is.
        size: `(W, H)` that it must have.

    Returns:
        `(H, W) bool`.

    Raises:
        UserError: no such picture, or nothing is painted.
    """
    from PIL import Image

    try:
        data = base64.b64decode(data_url.partition(",")[2], validate=True)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            # The size stands in the file's head: nothing larger than the video is ever decoded.
            if image.size != size:
                raise UserError(f"the mask is {image.size}, and the video {size}; paint it again")
            mask = np.asarray(image.convert("RGBA"))[..., 3] > 127
    except UserError:
        raise
    except UNREADABLE_IMAGE as error:
        raise UserError(f"the painted mask cannot be read ({error}); paint it again") from error
    if not mask.any():
        raise UserError("nothing is painted; paint the object first, or switch the mask off")
    return mask


ACTS: dict[str, Callable[[Work, Request], None]] = {
    "add": _add,
    "place": _place,
    "hide": lambda work, request: work.board.hide(int(request["number"]), int(request["t"])),
    "unmark": lambda work, request: work.board.unmark(int(request["number"]), int(request["t"])),
    "delete": lambda work, request: work.board.delete(int(request["number"])),
    "clear": lambda work, request: work.board.clear(),
    "rename": lambda work, request: work.board.rename(int(request["number"]), str(request["name"])),
    "recolour": lambda work, request: work.board.recolour(
        int(request["number"]), str(request["colour"])
    ),
    "undo": lambda work, request: work.board.undo(),
    "grid": _grid,
    "corners": _corners,
}
