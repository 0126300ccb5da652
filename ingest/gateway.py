"""The gateway: a websocket server that takes devices in.

What arrives is published at once; a device is told that a sample is safe only after the bus has said
so. A killed gateway therefore loses nothing that was acknowledged: the next one knows nothing,
takes the device's own word for how far it got, and publishes what comes again; blocks that the bus
had taken without the device hearing of it come twice, with the same content.

One port serves a websocket path per protocol, and to GET ``/healthz`` and ``/metrics``.
Not here: one connection (`link.py`), the streams and the bus (`streams.py`).
"""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from ingest.link import Link
from ingest.metrics import Metrics
from ingest.protocols import protocols
from ingest.protocols.port import CloseCode
from ingest.streams import Streams
from ingest.tokens import Tokens
from leadwire.bus import Bus
from leadwire.clock import Clock, SystemClock
from leadwire.errors import BusUnavailable, SettingError

log = structlog.get_logger(__name__)

TICK_S = 0.05
STOP_S = 10.0


class Gateway:
    """Takes devices in until stopped. All of it runs on the event loop that called `start`.

    Parameters
    ----------
    bus
        With its topics created. The gateway makes its own producer and leaves the bus open.
    host, port
        Where to listen; port 0: any free one.
    tokens
        The tokens file; None: every token is good.
    reorder_s
        How long a hole is waited for before it is a gap, in s.
    idle_timeout_s
        A device that says nothing for so long is closed, in whole s.
    max_connections
        More than so many are turned away with HTTP 503.
    clock
        The time; tests bring their own.

    Attributes
    ----------
    metrics
        The counters behind ``/metrics``.

    Raises
    ------
    SettingError
        The tokens file is wrong.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tokens: Path | None = None,
        reorder_s: float = 2.0,
        idle_timeout_s: int = 30,
        max_connections: int = 5000,
        clock: Clock | None = None,
    ) -> None:
        self.metrics = Metrics()
        self._bus = bus
        self._host, self._port = host, port
        self._tokens = Tokens(tokens) if tokens is not None else None
        self._reorder_s = reorder_s
        self._idle_timeout_s = idle_timeout_s
        self._max_connections = max_connections
        self._clock = clock or SystemClock()
        self._protocols = protocols()
        self._links: set[Link] = set()
        self._stopping = False

    async def start(self) -> tuple[str, int]:
        """Listen; returns the host and port.

        Raises
        ------
        SettingError
            The address cannot be listened on.
        """
        self._producer = self._bus.producer()
        self._streams = Streams(self._producer, self._clock, self._reorder_s, self.metrics)
        try:
            self._server: Server = await serve(
                self._handle,
                self._host,
                self._port,
                process_request=self._screen,
                max_size=max(p.max_bytes for p in self._protocols.values()),
                max_queue=8,
                # Samples hardly shrink, and the protocol has its own sign of life.
                compression=None,
                ping_interval=None,
                close_timeout=1,
            )
        except OSError as why:
            self._producer.close()
            raise SettingError(f"the gateway cannot listen on {self._host}:{self._port}: {why}") from None
        self._ticker = asyncio.create_task(self._tick())
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        log.info(
            "gateway listens", host=host, port=port, protocols=[p.name for p in self._protocols.values()]
        )
        if self._tokens is None:
            log.warning("every device is let in: no tokens file is set")
        return host, port

    async def stop(self) -> None:
        """Stop: what was received is flushed to the bus, acknowledged, and every device told."""
        self._stopping = True
        self._server.close(close_connections=False)
        await self._flush()
        # The bus's word travels through the loop once more before it is in the acknowledgements.
        await asyncio.sleep(0)
        waiting = [link.gone.wait() for link in self._links]
        for link in self._links:
            link.end(CloseCode.STOPPING, "the gateway stops: connect again later")
        await asyncio.gather(*waiting)
        self._ticker.cancel()
        with suppress(asyncio.CancelledError):
            await self._ticker
        await self._server.wait_closed()
        await self._flush()
        await asyncio.to_thread(self._producer.close)

    async def _flush(self) -> None:
        try:
            await asyncio.to_thread(self._producer.flush, STOP_S)
        except BusUnavailable as why:
            log.warning("stopping without the bus: devices keep what was not acknowledged", why=str(why))

    async def _handle(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        protocol = self._protocols[_path(socket.request)]
        link = Link(socket, protocol, self._streams, self._tokens, self._idle_timeout_s)
        self._links.add(link)
        self.metrics.connections.set(len(self._links))
        try:
            await link.run()
        finally:
            self._links.discard(link)
            self.metrics.connections.set(len(self._links))

    def _screen(self, socket: ServerConnection, request: Request) -> Response | None:
        """Answer what is no websocket of ours; None lets it in."""
        path = _path(request)
        if path == "/metrics":
            return socket.respond(HTTPStatus.OK, self.metrics.page())
        if path not in self._protocols and path != "/healthz":
            known = ", ".join([*self._protocols, "/healthz", "/metrics"])
            return socket.respond(HTTPStatus.NOT_FOUND, f"nothing is here; {known} are\n")
        if self._stopping or (path != "/healthz" and len(self._links) >= self._max_connections):
            return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "the gateway is stopping or full\n")
        if path == "/healthz":
            return socket.respond(HTTPStatus.OK, "ok\n")
        return None

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self._streams.tick()
            except Exception:
                log.exception("a tick failed")  # one stream's trouble must not stop the clock of all
            now = self._clock.monotonic()
            for link in tuple(self._links):
                link.check_idle(now)


def _path(request: Request) -> str:
    return request.path.partition("?")[0]
