"""The page that Gradio makes: the canvas, the buttons round it, and the server behind them."""

from __future__ import annotations

import html
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tracker.errors import UserError
from tracker.extras import needs
from tracker.web.downloads import KINDS, write_download
from tracker.web.drawing import View
from tracker.web.routes import STATIC, visit_routes
from tracker.web.visits import Visit, Visits
from tracker.web.work import Stopped, Work

# Before Gradio is imported: it and the hub's library would tell their makers of its use.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

with needs("web"):
    import gradio as gr
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

LOOPBACK = ("127.0.0.1", "localhost", "::1")

HEAD = '<script type="module" src="stage/stage.js"></script>'

BEGIN = """async token => {
  while (!window.stage) await new Promise(done => setTimeout(done, 50));  // its script may be late
  await window.stage.begin(token);
}"""

FONTS = ["ui-sans-serif", "system-ui", "sans-serif"]
MONO_FONTS = ["ui-monospace", "monospace"]
"""Of the visitor's system: nothing is fetched from anywhere."""

KIBIBYTE = 2**10


def build_page(visits: Visits, certainty: float, may_name_paths: bool) -> gr.Blocks:
    """Return the page.

    Args:
        visits: of all who see it.
        certainty: confidence above which points are shown at first.
        may_name_paths: whether visitors may open files of this machine by their paths.
    """

    def begin(request: gr.Request) -> str:
        return _told(lambda: visits.begin(_key(request)).token)

    def end(request: gr.Request) -> None:
        visits.end(_key(request))

    def open_path(path: str, request: gr.Request) -> str:
        _visiting(visits, request, lambda visit: visit.open(Path(path.strip()).expanduser()))
        return _line("")

    def track(request: gr.Request, progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008
        return _visiting(visits, request, lambda visit: _track(visit.work, progress))

    def stop(request: gr.Request) -> None:
        _visiting(visits, request, lambda visit: visit.work.stop())

    def download(
        kind: str,
        certainty: float,
        trail: int,
        by_confidence: bool,
        side_by_side: bool,
        names: bool,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  this is how Gradio finds it
    ) -> tuple[str, str]:
        view = View(certainty, trail, by_confidence, side_by_side, names)

        def write(visit: Visit) -> str:
            path = write_download(visit, kind, view, _shown(progress, "drawing"))
            return f"visits/{visit.token}/files/{path.parent.name}/{path.name}"

        progress(0, desc=f"writing {kind}")
        return _visiting(visits, request, write), _line("")

    with gr.Blocks(
        title="vjepa-tracker", analytics_enabled=False, delete_cache=(600, 600), fill_width=True
    ) as page:
        token = gr.Textbox(visible="hidden")
        address = gr.Textbox(visible="hidden")
        with gr.Row():
            with gr.Column(scale=4, min_width=480):
                gr.HTML((STATIC / "stage.html").read_text(), apply_default_css=False)
            with gr.Column(scale=1, min_width=260):
                with gr.Row():
                    run = gr.Button("Track", variant="primary", elem_id="track", min_width=80)
                    halt = gr.Button("Stop", elem_id="stop", min_width=80)
                status = gr.HTML(_line(""), elem_id="status", min_height=40)
                view = [
                    gr.Slider(0, 0.99, certainty, step=0.01, label="Show from certainty"),
                    gr.Slider(0, 100, 12, step=1, label="Trail, frames"),
                    gr.Checkbox(False, label="Colour by confidence"),
                    gr.Checkbox(False, label="Side by side"),
                    gr.Checkbox(False, label="Names"),
                ]
                kinds = [(f"{kind}: {what}", kind) for kind, what in KINDS.items()]
                kind = gr.Dropdown(kinds, value="mp4", label="Download", elem_id="kind")
                fetch = gr.Button("Download", elem_id="download")
                if may_name_paths:
                    with gr.Group():
                        path = gr.Textbox(label="Open a path of this computer", elem_id="path")
                        opener = gr.Button("Open", elem_id="open")

        hand_over = {"js": "(...values) => window.stage.view(...values)", "queue": False}
        page.load(begin, None, token).success(None, token, None, js=BEGIN).then(
            None, view, None, **hand_over
        )
        for control in view:
            control.change(None, view, None, **hand_over)
        page.unload(end)
        reload = {"fn": None, "js": "() => window.stage.reload()"}
        run.click(track, None, status, concurrency_limit=1, concurrency_id="track").then(**reload)
        halt.click(stop, None, None, queue=False)
        if may_name_paths:
            opened: Any = gr.on([opener.click, path.submit], open_path, path, status)
            opened.success(**reload)
        fetch.click(
            download, [kind, *view], [address, status], concurrency_limit=2, concurrency_id="draw"
        ).success(None, address, None, js="address => window.stage.download(address)")
    return page


def serve(
    page: gr.Blocks, visits: Visits, host: str, port: int, share: bool, is_quiet: bool = False
) -> str:
    """Start to serve the page, in threads of its own.

    Args:
        page: of `build_page`.
        visits: that it was built for.
        host: name or address to listen at.
        port: to listen at; 0 for any that is free.
        share: whether Gradio makes an address for the whole internet.
        is_quiet: whether nothing is printed.

    Returns:
        The page's address on this machine.

    Raises:
        UserError: the port is taken, or there is no such host.
    """
    theme = gr.themes.Default(font=FONTS, font_mono=MONO_FONTS)
    app: dict[str, Any] = {"routes": visit_routes(visits), "docs_url": None, "redoc_url": None}
    if host in LOOPBACK and not share:
        # Another site's name that was made to point here must not read what is on this machine.
        names = ["localhost", "127.0.0.1", "[::1]"]
        app["middleware"] = [Middleware(TrustedHostMiddleware, allowed_hosts=names)]
    try:
        _, local, _ = page.queue(default_concurrency_limit=8).launch(
            server_name=host,
            server_port=port or _free_port(host),
            share=share,
            theme=theme,
            head=HEAD,
            css_paths=STATIC / "stage.css",
            app_kwargs=app,
            max_file_size=KIBIBYTE,  # uploads have a route of their own
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            pwa=False,
            quiet=is_quiet,
            prevent_thread_lock=True,
        )
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot serve at {host}:{port} ({reason}); give another --port") from error
    return local


def _free_port(host: str) -> int:
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _key(request: gr.Request) -> str:
    assert request.session_hash is not None  # every page of Gradio has one
    return request.session_hash


def _told(work: Callable[[], Any]) -> Any:
    """Return what `work` does; what a visitor did wrong is told to them.

    Raises:
        gr.Error: with the line of a `UserError`.
    """
    try:
        return work()
    except UserError as error:
        raise gr.Error(html.escape(str(error)), duration=None, print_exception=False) from error


def _visiting(visits: Visits, request: gr.Request, do: Callable[[Visit], Any]) -> Any:
    """Return what `do` does for the visitor who asks; told as `_told` does."""

    def work() -> Any:
        visit = visits.of(_key(request))
        try:
            return do(visit)
        except UserError as error:
            raise UserError(visit.plain(error)) from error

    return _told(work)


def _track(work: Work, progress: gr.Progress) -> str:
    progress(0, desc="tracking")
    started = time.perf_counter()
    try:
        count = work.track(_shown(progress, "tracking"))
    except Stopped:
        return _line("stopped; what was tracked before is unchanged")
    seconds = time.perf_counter() - started
    if not count:
        return _line("nothing has changed since the last run")
    what = "1 point" if count == 1 else f"{count} points"
    return _line(f"tracked {what} through {work.num_frames} frames in {seconds:.1f} s")


def _shown(progress: gr.Progress, label: str) -> Callable[[int, int], None]:
    return lambda done, total: progress((done, total), desc=label, unit="frames")


def _line(text: str) -> str:
    return f'<p class="status" role="status">{html.escape(text)}</p>'
