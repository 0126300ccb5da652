"""The dashboard's web application: pages, a few JSON answers, two websockets.

`create_app` wires feed, hub and archive reader; `service.py` runs it. Everything a page needs comes from
here: it works with the cable out. No route changes anything.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from dashboard import history, sockets
from dashboard.feed import Feed
from dashboard.guard import SECURITY_HEADERS, host_allowed, origin_allowed
from dashboard.history import Span
from dashboard.hub import Hub
from dashboard.messages import error_body, to_json
from leadwire import catalogue
from leadwire.bus import Bus
from leadwire.clock import Clock, SystemClock
from leadwire.errors import RetryError
from leadwire.ranges import MAX_SAMPLE, MAX_SIG, check_stream_id
from leadwire.settings import Settings
from storage import Reader

STATIC = Path(__file__).parent / "static"

_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 422: "bad_request"}


def create_app(
    bus: Bus,
    reader: Reader | None = None,
    settings: Settings | None = None,
    clock: Clock | None = None,
) -> FastAPI:
    """Make the application; its lifespan starts and stops the feed.

    Parameters
    ----------
    bus
        Where streams, samples, events and alerts come from.
    reader
        The archive, for the last minutes; None: the pages say that there is none.
    settings, clock
        Host names that are answered; the time.
    """
    settings = settings or Settings()
    clock = clock or SystemClock()
    hub = Hub(archive=reader is not None)
    feed = Feed(bus, hub, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        feed.start()
        try:
            yield
        finally:
            await feed.stop()

    # The interactive API pages would load scripts from a CDN.
    app = FastAPI(title="Leadwire", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.hub = hub
    _add_guard(app, {settings.dashboard_host.lower()})
    _add_errors(app)
    _add_api(app, hub, clock)
    _add_history(app, reader)
    _add_sockets(app, hub, clock, {settings.dashboard_host.lower()})
    _add_pages(app)
    return app


def _add_guard(app: FastAPI, names: set[str]) -> None:
    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if host_allowed(request.headers.get("host"), names):
            response = await call_next(request)
        else:
            response = _error(400, "wrong_host", "this Host is not answered here")
        response.headers.update(SECURITY_HEADERS)
        # Pages and modules are revalidated by their ETag; answers about patients are never stored.
        response.headers["Cache-Control"] = "no-store" if request.url.path.startswith("/api/") else "no-cache"
        return response


def _error(status: int, code: str, message: str) -> Response:
    return Response(error_body(code, message), status, media_type="application/json")


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def http_error(_: Request, why: HTTPException) -> Response:
        return _error(why.status_code, _CODES.get(why.status_code, "error"), str(why.detail))

    @app.exception_handler(RequestValidationError)
    async def bad_request(_: Request, why: RequestValidationError) -> Response:
        first = why.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return _error(422, "bad_request", f"{place}: {first['msg']}")

    @app.exception_handler(RetryError)
    async def unavailable(_: Request, why: RetryError) -> Response:
        return _error(503, "unavailable", str(why))

    @app.exception_handler(Exception)
    async def bug(_: Request, why: Exception) -> Response:
        # The reason is in the log; a page gets no internals.
        return _error(500, "internal", "the server failed on this request")


def _json(data: bytes) -> Response:
    return Response(data, media_type="application/json")


def _add_api(app: FastAPI, hub: Hub, clock: Clock) -> None:
    texts = to_json(dict(catalogue.as_json()))

    @app.get("/api/catalogue")
    async def get_catalogue() -> Response:
        """Every text of the pages, by language and key."""
        return _json(texts)

    @app.get("/api/health")
    async def get_health() -> Response:
        """200 while the dashboard reads the bus, 503 otherwise."""
        body = to_json({"feed": hub.feed_ok, "streams": len(hub.live), "next_alert": hub.alerts.next_seq})
        return Response(body, 200 if hub.feed_ok else 503, media_type="application/json")

    @app.get("/api/streams")
    async def get_streams() -> Response:
        """The streams on the wall."""
        return _json(to_json(list(hub.streams())))

    @app.get("/api/alerts")
    async def get_alerts() -> Response:
        """Present states of all alerts."""
        return _json(to_json([hub.alert_view(e) for e in hub.alerts.present(clock.now())]))


_Start = Annotated[int, Query(ge=0, le=MAX_SAMPLE)]
_Stop = Annotated[int, Query(ge=1, le=MAX_SAMPLE)]
_Leads = Annotated[list[Annotated[str, Query(min_length=1, max_length=32)]], Query(max_length=MAX_SIG)]
_Columns = Annotated[int, Query(ge=1, le=history.MAX_COLUMNS)]


def _add_history(app: FastAPI, reader: Reader | None) -> None:
    async def ask(work: Callable[[Reader], object]) -> Response:
        if reader is None:
            return _error(404, "no_archive", "no archive is connected to this dashboard")
        try:
            # Databases block; the event loop must not.
            return _json(to_json(await run_in_threadpool(work, reader)))
        except ValueError as why:
            return _error(422, "bad_request", str(why))

    @app.get("/api/history/stream")
    async def get_stream(stream: str) -> Response:
        """A stream of the archive, live or not."""
        found = await ask(lambda r: history.stream(r, check_stream_id(stream)))
        return found if found.body != b"null" else _error(404, "not_found", "the archive has no such stream")

    @app.get("/api/history/envelope")
    async def get_envelope(
        stream: str, start: _Start, stop: _Stop, lead: _Leads, columns: _Columns
    ) -> Response:
        """Lowest and highest of one lead in each of about `columns` columns."""
        return await ask(lambda r: history.envelope(r, _span(stream, start, stop, lead), columns))

    @app.get("/api/history/samples")
    async def get_samples(stream: str, start: _Start, stop: _Stop, lead: _Leads) -> Response:
        """Every sample of some leads, and the beats."""
        return await ask(lambda r: history.samples(r, _span(stream, start, stop, lead)))

    @app.get("/api/history/alerts")
    async def get_alerts(stream: str) -> Response:
        """The present state of each of a stream's alerts, the last raised first."""
        return await ask(lambda r: history.alerts(r, check_stream_id(stream)))


def _span(stream: str, start: int, stop: int, leads: Sequence[str]) -> Span:
    return Span(check_stream_id(stream), start, stop, tuple(dict.fromkeys(leads)))


def _add_sockets(app: FastAPI, hub: Hub, clock: Clock, names: set[str]) -> None:
    async def refused(socket: WebSocket) -> bool:
        host = socket.headers.get("host")
        if host_allowed(host, names) and origin_allowed(socket.headers.get("origin"), host):
            return False
        # Before accept: the handshake is answered with 403.
        await socket.close(1008)
        return True

    @app.websocket("/ws/alerts")
    async def ws_alerts(socket: WebSocket) -> None:
        if await refused(socket):
            return
        asked = socket.query_params.get("from")
        if asked is not None and not (asked.isascii() and asked.isdigit() and len(asked) <= 18):
            await socket.close(1008)
            return
        await sockets.alerts(socket, hub, clock, None if asked is None else int(asked))

    @app.websocket("/ws/waveforms")
    async def ws_waveforms(socket: WebSocket) -> None:
        if not await refused(socket):
            await sockets.waveforms(socket, hub, clock)


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def wall() -> Response:
        return FileResponse(STATIC / "wall.html")

    @app.get("/patient", include_in_schema=False)
    async def patient() -> Response:
        return FileResponse(STATIC / "patient.html")

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
