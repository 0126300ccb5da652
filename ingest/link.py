"""One connection of a device: its websocket, its protocol, and the stream it is on.

Two tasks: one reads and publishes, one writes acknowledgements. The connection is over when either
is, or when it is told to `end`. Not here: the server (`gateway.py`), sessions and bus (`streams.py`).
"""

import asyncio
from contextlib import suppress
from typing import NamedTuple

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ingest.protocols import DeviceProtocol
from ingest.protocols.port import Bye, CloseCode, Data, FromDevice, Hello, Status
from ingest.streams import Stream, Streams
from ingest.tokens import Tokens
from leadwire.errors import ProtocolRejected, RetryError

log = structlog.get_logger(__name__)

HELLO_S = 10.0
"""A connection that has not said a good hello after so many s is closed."""
GOODBYE_S = 2.0


class Ending(NamedTuple):
    """Why a connection is over; `code` None: the device is gone and nobody is left to be told."""

    code: CloseCode | None
    reason: str


class Link:
    """One connection.

    Parameters
    ----------
    socket, protocol
        The open websocket, and what is spoken on it.
    streams, tokens
        The gateway's streams, and who may come in (None: anybody).
    idle_timeout_s
        A device that says nothing for so long is closed, in s.
    """

    def __init__(
        self,
        socket: ServerConnection,
        protocol: type[DeviceProtocol],
        streams: Streams,
        tokens: Tokens | None,
        idle_timeout_s: int,
    ) -> None:
        self.gone = asyncio.Event()
        self._socket = socket
        self._protocol = protocol
        self._side = protocol.gateway_side()
        self._streams = streams
        self._tokens = tokens
        self._idle_timeout_s = idle_timeout_s
        self._stream: Stream | None = None
        self._bye: Bye | None = None
        self._seq = 0
        self._heard = streams.now().monotonic
        self._paused = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._end: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        self._changed.set()
        self._room.set()

    def end(self, code: CloseCode, reason: str) -> None:
        if not self._end.done():
            self._end.set_result(Ending(code, reason))

    def check_idle(self, monotonic: float) -> None:
        """End the connection if the device has been silent for too long."""
        allowed = HELLO_S if self._stream is None else self._idle_timeout_s
        if not self._paused and monotonic - self._heard > allowed:
            self.end(CloseCode.TIMEOUT, f"nothing came for {allowed:g} s")

    async def run(self) -> None:
        """Converse until the end."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        ending = Ending(CloseCode.STOPPING, "the gateway stops")
        try:
            done, _ = await asyncio.wait({*tasks, self._end}, return_when=asyncio.FIRST_COMPLETED)
            ending = self._end.result() if self._end in done else _outcome(done)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._stream is not None:
                self._streams.leave(self._stream, ending.reason)
            self.gone.set()
        self._streams.metrics.closed.labels("gone" if ending.code is None else ending.code.name.lower()).inc()
        log.info(
            "connection over",
            stream=self._stream.session.hello.stream if self._stream else None,
            remote=self._remote,
            reason=ending.reason,
        )
        if ending.code is not None:
            await self._say_goodbye(ending.code, ending.reason)

    @property
    def _remote(self) -> str:
        return ":".join(str(part) for part in (self._socket.remote_address or ("gone",))[:2])

    async def _read(self) -> Ending:
        try:
            async for data in self._socket:
                self._heard = self._streams.now().monotonic
                try:
                    if isinstance(data, str):
                        raise ProtocolRejected("a text message came; a binary one was expected")
                    for event in self._side.receive_data(data):
                        refused = await self._take(event)
                        if refused is not None:
                            return refused
                except ProtocolRejected as why:
                    self._quarantine(str(why), data.encode() if isinstance(data, str) else data)
                    return Ending(CloseCode.MALFORMED, str(why))
                await self._wait_for_room()
        except ConnectionClosed as why:
            if why.sent is not None and why.sent.code == 1009:
                reason = f"a message over {self._protocol.max_bytes} bytes came"
                self._quarantine(reason, b"")
                return Ending(None, reason)
            return Ending(None, "the connection broke")
        return Ending(None, "the device closed the connection")

    async def _take(self, event: FromDevice) -> Ending | None:
        """Act on an event; an `Ending` if it is the last."""
        metrics = self._streams.metrics
        metrics.messages.labels(type(event).__name__.lower()).inc()
        if isinstance(event, Hello):
            return await self._welcome(event)
        stream, now = self._stream, self._streams.now()
        assert stream is not None, "the protocol lets nothing pass before hello"
        session = stream.session
        match event:
            case Data():
                if event.seq != self._seq:
                    metrics.out_of_sequence.inc()
                self._seq = (event.seq + 1) & 0xFFFFFFFF
                before = session.duplicates
                self._streams.publish(stream, session.data(event, now))
                metrics.duplicates.inc(session.duplicates - before)
            case Status():
                self._streams.publish(stream, session.status(event, now))
            case Bye():
                self._streams.publish(stream, session.bye(event, now))
                self._bye = event
        self._changed.set()
        return None

    async def _welcome(self, hello: Hello) -> Ending | None:
        if self._tokens is not None and not self._tokens.allow(hello.device, hello.token):
            return Ending(CloseCode.REFUSED, "the device is unknown or its token is wrong")
        try:
            self._stream = await self._streams.open(hello, self)
        except ProtocolRejected as why:
            return Ending(CloseCode.CONFLICT, str(why))
        await self._streams.announce(self._stream)
        log.info("device connected", stream=hello.stream, remote=self._remote)
        now = self._streams.now()
        self._side.welcome(self._stream.session.resume, now.time, self._idle_timeout_s)
        self._changed.set()
        return None

    async def _wait_for_room(self) -> None:
        """Read on only when the bus keeps up: the device's own store takes what comes meanwhile."""
        while self._stream is not None and self._streams.full(self._stream):
            self._paused = True
            self._room.clear()
            await self._room.wait()
        if self._paused:
            self._paused = False
            self._heard = self._streams.now().monotonic

    async def _write(self) -> Ending:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._stream is None:
                continue
            session = self._stream.session
            if session.resend_from is not None:
                self._side.resend(session.resend_from)
                session.resend_from = None
            # Only now, so that a slow device gets one acknowledgement and not a queue of them.
            self._side.acknowledge(session.acknowledged)
            try:
                async with asyncio.timeout(self._idle_timeout_s):
                    for message in self._side.data_to_send():
                        await self._socket.send(message)
            except TimeoutError:
                return Ending(CloseCode.TIMEOUT, f"nothing was read for {self._idle_timeout_s} s")
            except ConnectionClosed:
                return Ending(None, "the connection broke")
            if self._bye is not None:
                missing = session.missing(self._bye.end_sample)
                if missing is not None:
                    return Ending(
                        CloseCode.BUSY, f"samples from {missing} on are missing: connect and send again"
                    )
                if session.acknowledged >= self._bye.end_sample:
                    await self._streams.finish(self._stream)
                    return Ending(CloseCode.FINISHED, "every sample is safe")

    def _quarantine(self, reason: str, data: bytes) -> None:
        name = self._stream.session.hello.stream if self._stream else "unknown"
        log.warning("refused", stream=name, remote=self._remote, reason=reason)
        self._streams.quarantine(
            f"gateway {self._protocol.name} {name}",
            reason,
            self._side.redact(data),
            stranger=self._stream is None,
        )

    async def _say_goodbye(self, code: CloseCode, reason: str) -> None:
        if self._stream is not None:
            self._side.acknowledge(self._stream.session.acknowledged)
        self._side.close(code, reason)
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                for message in self._side.data_to_send():
                    await self._socket.send(message)
                await self._socket.close()


def _outcome(done: set[asyncio.Future[Ending]]) -> Ending:
    """What the reader or the writer says. A fault of the program ends this connection and no other."""
    task = done.pop()
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, RetryError):
        return Ending(CloseCode.BUSY, "the message bus is away: connect again later")
    log.error("a connection failed", exc_info=error)
    return Ending(CloseCode.BUSY, "the gateway failed: connect again later")
