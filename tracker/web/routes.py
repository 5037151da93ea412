"""What the canvas reads and writes, beside Gradio's own routes.

All of it lies under `/visits/TOKEN/`, and the token is known to one visitor alone. Errors are JSON,
`{"error": one line}`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tracker.errors import UserError
from tracker.extras import needs
from tracker.web.acts import act
from tracker.web.limits import MIB
from tracker.web.visits import Visit, Visits

with needs("web"):
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import FileResponse, JSONResponse, Response
    from starlette.routing import BaseRoute, Mount, Route
    from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"

LARGEST_ACT = 8 * MIB
"""Bytes of what the canvas asks for; the largest is a painted mask."""

Answer = Callable[[Request, Visit], Awaitable[Response]]


def visit_routes(visits: Visits) -> list[BaseRoute]:
    """Return the routes of all visitors, and the page's static files."""

    def route(path: str, answer: Answer, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            visit = visits.find(request.path_params["token"])
            if visit is None:
                return _error("this page is not known here any more; reload it", 404)
            try:
                return await answer(request, visit)
            except UserError as error:
                return _error(visit.plain(error), 422)

        return Route(f"/visits/{{token}}/{path}", endpoint, methods=[method])

    return [
        route("scene", _scene),
        route("act", _act, "POST"),
        route("video", _upload, "POST"),
        route("videos/{number:int}/frames/{t:int}.jpg", _frame),
        route("videos/{number:int}/tracks/{version}", _tracks),
        route("files/{folder}/{name}", _file),
        Mount("/stage", StaticFiles(directory=STATIC)),
    ]


def _error(line: str, status: int) -> JSONResponse:
    return JSONResponse({"error": line}, status)


def _described(visit: Visit) -> JSONResponse:
    scene: dict[str, Any] = visit.work.scene() if visit.has_video else {"video": None}
    return JSONResponse({**scene, "largestUpload": visit.limits.upload})


async def _scene(request: Request, visit: Visit) -> Response:
    return await run_in_threadpool(_described, visit)


async def _act(request: Request, visit: Visit) -> Response:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > LARGEST_ACT:
            raise UserError("the mask is too large; paint it on a smaller video")
    try:
        asked = json.loads(data)
    except ValueError as error:
        raise UserError(f"the page sent what is no JSON ({error}); reload it") from error
    if not isinstance(asked, dict):
        raise UserError("the page sent what is no act; reload it")
    await run_in_threadpool(act, visit.work, asked)
    return await run_in_threadpool(_described, visit)


async def _upload(request: Request, visit: Visit) -> Response:
    path = visit.upload_path(request.query_params.get("name", ""))
    promised = request.headers.get("content-length", "")
    visit.limits.check_upload(path.name, int(promised) if promised.isdigit() else 0)
    path.parent.mkdir()
    size, is_whole = 0, False
    try:
        with path.open("wb") as file:
            async for part in request.stream():
                size += len(part)
                visit.limits.check_upload(path.name, size)
                await run_in_threadpool(file.write, part)
        is_whole = True
    except ClientDisconnect:
        return _error("the upload was broken off", 400)
    except OSError as error:
        raise UserError(f"{path.name} cannot be kept ({error.strerror}); come back later") from None
    finally:
        if not is_whole:
            path.unlink(missing_ok=True)
            path.parent.rmdir()
    await run_in_threadpool(visit.open_upload, path)
    return await run_in_threadpool(_described, visit)


async def _frame(request: Request, visit: Visit) -> Response:
    if request.path_params["number"] != visit.work.number:
        return _error("another video is open now", 404)
    data = await run_in_threadpool(visit.work.pictures.jpeg, request.path_params["t"])
    # A frame of this address never changes, and nobody but its visitor may keep it.
    return Response(data, 200, {"Cache-Control": "private, max-age=600"}, "image/jpeg")


async def _tracks(request: Request, visit: Visit) -> Response:
    data = await run_in_threadpool(visit.work.path_bytes, request.path_params["version"])
    return Response(data, media_type="application/octet-stream")


async def _file(request: Request, visit: Visit) -> Response:
    path = visit.folder / request.path_params["folder"] / request.path_params["name"]
    inside = path.resolve().is_relative_to(visit.folder.resolve())
    if not inside or not path.is_file():
        return _error("there is no such file any more; press Download again", 404)
    return FileResponse(path, filename=path.name)
