"""The dashboard's web application: pages, JSON answers, websockets.

`create_app` wires feed, hub, desk and archive reader; `service.py` runs it. Everything a page needs comes
from here: it works with the cable out. Every route knows its caller (`callers.py`); the routes that change
anything are in `desk_routes.py`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from dashboard import case_socket, history, sockets
from dashboard.callers import Caller, Door
from dashboard.desk import MAX_BODY, Desk, Refused
from dashboard.desk_routes import add_desk
from dashboard.feed import Feed
from dashboard.guard import SECURITY_HEADERS, host_allowed, origin_allowed
from dashboard.history import Span
from dashboard.hub import Hub
from dashboard.messages import error_body, to_json
from dashboard.record_routes import add_records
from dashboard.watching import Watching
from leadwire import catalogue
from leadwire.bus import Bus
from leadwire.clock import Clock, SystemClock
from leadwire.errors import RetryError
from leadwire.passwords import read_secret
from leadwire.ranges import MAX_SAMPLE, MAX_SIG, check_stream_id
from leadwire.settings import Settings
from storage import Reader

STATIC = Path(__file__).parent / "static"

_READS = {"GET", "HEAD", "OPTIONS"}
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 422: "bad_request"}


def create_app(
    bus: Bus,
    reader: Reader | None = None,
    settings: Settings | None = None,
    clock: Clock | None = None,
    watching: Watching | None = None,
) -> FastAPI:
    """Make the application; its lifespan starts and stops the feed.

    Parameters
    ----------
    bus
        Where streams, samples, events and alerts come from.
    reader
        The archive, for the last minutes; None: the pages say that there is none.
    settings, clock
        Host names that are answered, where the sessions' secret is; the time.
    watching
        Keeps the open pages, for whoever wants to know whether anybody watches.
    """
    settings = settings or Settings()
    clock = clock or SystemClock()
    watching = watching or Watching()
    hub = Hub(archive=reader is not None)
    feed = Feed(bus, hub, clock)
    producer = bus.producer()
    desk = Desk(hub.cases, producer, clock)
    door = Door(read_secret(Path(settings.session_secret_file)), settings.open_as)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        feed.start()
        try:
            yield
        finally:
            await feed.stop()
            await run_in_threadpool(producer.close)

    # The interactive API pages would load scripts from a CDN.
    app = FastAPI(title="Leadwire", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.hub = hub
    names = {settings.dashboard_host.lower()}

    def caller_of(headers: Mapping[str, str]) -> Caller | None:
        return door.caller(hub.cases.network, headers, clock.now()) if hub.cases.is_loaded.is_set() else None

    def caller(request: Request) -> Caller:
        found = caller_of(request.headers)
        if found is None and not hub.cases.is_loaded.is_set():
            raise Refused(503, "starting", "the dashboard has not read who may see what yet")
        if found is None:
            raise Refused(401, "login_needed", "log in first")
        return found

    _add_guard(app, names)
    _add_errors(app)
    _add_api(app, hub, clock, caller)
    _add_history(app, hub, reader, desk, caller)
    add_desk(app, desk, door, clock, caller)
    add_records(app, desk, reader, clock, settings.time_zone, caller)
    _add_sockets(app, hub, desk, watching, clock, names, caller_of)
    _add_pages(app)
    return app


def _add_guard(app: FastAPI, names: set[str]) -> None:
    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        host = request.headers.get("host")
        if not host_allowed(host, names):
            response = _error(400, "wrong_host", "this Host is not answered here")
        elif request.method not in _READS and not origin_allowed(request.headers.get("origin"), host):
            response = _error(403, "wrong_origin", "this page may not change anything here")
        elif "transfer-encoding" in request.headers:
            # A body of unknown length would be read to its end before anybody could count it.
            response = _error(411, "length_needed", "a body needs its Content-Length")
        elif _too_long(request.headers.get("content-length")):
            response = _error(413, "too_long", f"at most {MAX_BODY} bytes are taken")
        else:
            response = await call_next(request)
        response.headers.update(SECURITY_HEADERS)
        # Pages and modules are revalidated by their ETag; answers about patients are never stored.
        response.headers["Cache-Control"] = "no-store" if request.url.path.startswith("/api/") else "no-cache"
        return response


def _too_long(length: str | None) -> bool:
    return length is not None and (not length.isdigit() or int(length) > MAX_BODY)


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

    @app.exception_handler(Refused)
    async def refused(_: Request, why: Refused) -> Response:
        return _error(why.status, why.code, why.message)

    @app.exception_handler(RetryError)
    async def unavailable(_: Request, why: RetryError) -> Response:
        return _error(503, "unavailable", str(why))

    @app.exception_handler(Exception)
    async def bug(_: Request, why: Exception) -> Response:
        # The reason is in the log; a page gets no internals.
        return _error(500, "internal", "the server failed on this request")


def _json(data: bytes) -> Response:
    return Response(data, media_type="application/json")


def _add_api(app: FastAPI, hub: Hub, clock: Clock, caller: Callable[[Request], Caller]) -> None:
    who_looks = Annotated[Caller, Depends(caller)]
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
    async def get_streams(who: who_looks) -> Response:
        """The streams on your wall."""
        return _json(to_json(list(hub.streams(who.clinics))))

    @app.get("/api/alerts")
    async def get_alerts(who: who_looks) -> Response:
        """Present states of all alerts of your clinics."""
        views = [hub.alert_view(e) for e in hub.alerts.present(clock.now())]
        return _json(to_json([v for v in views if who.sees(v.clinic)]))


_Start = Annotated[int, Query(ge=0, le=MAX_SAMPLE)]
_Stop = Annotated[int, Query(ge=1, le=MAX_SAMPLE)]
_Leads = Annotated[list[Annotated[str, Query(min_length=1, max_length=32)]], Query(max_length=MAX_SIG)]
_Columns = Annotated[int, Query(ge=1, le=history.MAX_COLUMNS)]


def _add_history(
    app: FastAPI, hub: Hub, reader: Reader | None, desk: Desk, caller: Callable[[Request], Caller]
) -> None:
    who_looks = Annotated[Caller, Depends(caller)]

    async def ask(who: Caller, stream: str, work: Callable[[Reader], object]) -> Response:
        if reader is None:
            return _error(404, "no_archive", "no archive is connected to this dashboard")
        try:
            check_stream_id(stream)
            # Databases block; the event loop must not.
            clinic = hub.clinic_of(stream) or await run_in_threadpool(history.clinic, reader, stream)
            if not who.sees(clinic):
                return _error(404, "not_found", "the archive has no such stream")
            if who.user:
                desk.note(who, "view", "", f"stream {stream}")
            return _json(to_json(await run_in_threadpool(work, reader)))
        except ValueError as why:
            return _error(422, "bad_request", str(why))

    @app.get("/api/history/stream")
    async def get_stream(stream: str, who: who_looks) -> Response:
        """A stream of the archive, live or not."""
        found = await ask(who, stream, lambda r: history.stream(r, check_stream_id(stream)))
        return found if found.body != b"null" else _error(404, "not_found", "the archive has no such stream")

    @app.get("/api/history/envelope")
    async def get_envelope(
        stream: str, start: _Start, stop: _Stop, lead: _Leads, columns: _Columns, who: who_looks
    ) -> Response:
        """Lowest and highest of one lead in each of about `columns` columns."""
        return await ask(
            who, stream, lambda r: history.envelope(r, _span(stream, start, stop, lead), columns)
        )

    @app.get("/api/history/samples")
    async def get_samples(stream: str, start: _Start, stop: _Stop, lead: _Leads, who: who_looks) -> Response:
        """Every sample of some leads, and the beats."""
        return await ask(who, stream, lambda r: history.samples(r, _span(stream, start, stop, lead)))

    @app.get("/api/history/alerts")
    async def get_alerts(stream: str, who: who_looks) -> Response:
        """The present state of each of a stream's alerts, the last raised first."""
        return await ask(who, stream, lambda r: history.alerts(r, check_stream_id(stream)))


def _span(stream: str, start: int, stop: int, leads: Sequence[str]) -> Span:
    return Span(check_stream_id(stream), start, stop, tuple(dict.fromkeys(leads)))


def _add_sockets(
    app: FastAPI,
    hub: Hub,
    desk: Desk,
    watching: Watching,
    clock: Clock,
    names: set[str],
    caller_of: Callable[[Mapping[str, str]], Caller | None],
) -> None:
    async def let_in(socket: WebSocket) -> Caller | None:
        host = socket.headers.get("host")
        if host_allowed(host, names) and origin_allowed(socket.headers.get("origin"), host):
            await hub.cases.is_loaded.wait()
            caller = caller_of(socket.headers)
            if caller is not None:
                return caller
        # Before accept: the handshake is answered with 403.
        await socket.close(1008)
        return None

    @app.websocket("/ws/alerts")
    async def ws_alerts(socket: WebSocket) -> None:
        caller = await let_in(socket)
        if caller is None:
            return
        asked = socket.query_params.get("from")
        if asked is not None and not (asked.isascii() and asked.isdigit() and len(asked) <= 18):
            await socket.close(1008)
            return
        start = None if asked is None else int(asked)
        await sockets.alerts(socket, hub, clock, start, lambda: caller_of(socket.headers), caller)

    @app.websocket("/ws/waveforms")
    async def ws_waveforms(socket: WebSocket) -> None:
        caller = await let_in(socket)
        if caller is not None:
            await sockets.waveforms(socket, hub, clock, lambda: caller_of(socket.headers), caller)

    @app.websocket("/ws/cases")
    async def ws_cases(socket: WebSocket) -> None:
        caller = await let_in(socket)
        if caller is not None:
            await case_socket.cases(
                socket, hub, desk, watching, clock, lambda: caller_of(socket.headers), caller
            )


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def wall() -> Response:
        return FileResponse(STATIC / "wall.html")

    @app.get("/patient", include_in_schema=False)
    async def patient() -> Response:
        return FileResponse(STATIC / "patient.html")

    @app.get("/desk", include_in_schema=False)
    async def desk() -> Response:
        return FileResponse(STATIC / "desk.html")

    @app.get("/login", include_in_schema=False)
    async def login() -> Response:
        return FileResponse(STATIC / "login.html")

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
