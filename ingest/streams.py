"""The streams a gateway holds: their sessions across connections, and their way onto the bus and back.

Lives on the gateway's event loop. The bus's futures end on threads of their own; what they say is
gathered and worked off on the loop. Not here: sockets (`link.py`, `gateway.py`).
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Protocol

import structlog

from ingest.metrics import Metrics
from ingest.protocols.port import CloseCode, Hello
from ingest.session import Output, Session
from ingest.window import Moment
from leadwire import codec
from leadwire.bus import Position, Producer
from leadwire.clock import Clock
from leadwire.errors import RetryError
from leadwire.messages import Message
from leadwire.model import LinkEvent, Quarantined, SampleChunk
from leadwire.topics import CHUNKS, EVENTS, QUARANTINE, STREAMS, Topic

log = structlog.get_logger(__name__)

FORGET_S = 300.0
"""A stream without a connection is forgotten after so many s; the device knows where it stands."""
MAX_STREAM_IN_FLIGHT = 1 << 20
MAX_IN_FLIGHT = 128 << 20
"""Bytes of samples of one stream, and of all, that may wait for the bus before reading pauses."""
QUARANTINE_BURST = 60
QUARANTINE_PER_S = 1.0
"""Strangers may fill the quarantine only so fast; devices that came in are not limited."""


class Holder(Protocol):
    """The connection that a stream is on."""

    gone: asyncio.Event

    def wake(self) -> None:
        """Something of the stream has changed: look at its session."""
        ...

    def end(self, code: CloseCode, reason: str) -> None:
        """Leave the stream and close."""
        ...


class Stream:
    """A session, the connection it is on, and whether it can go on.

    Attributes
    ----------
    in_flight
        Bytes of samples that the bus has not confirmed.
    ended
        The device has said that the recording is over, and the bus knows.
    broken
        The bus refused a chunk: nothing may overtake it, so whoever comes next starts from what the
        device knows to be acknowledged.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.holder: Holder | None = None
        self.left_at = 0.0
        self.in_flight = 0
        self.ended = False
        self.broken = False


class Streams:
    """All streams of a gateway.

    Parameters
    ----------
    producer
        Where everything goes.
    clock, reorder_s, metrics
        The time; how long a hole is waited for, in s; what is counted.
    """

    def __init__(self, producer: Producer, clock: Clock, reorder_s: float, metrics: Metrics) -> None:
        self.metrics = metrics
        self._producer = producer
        self._clock = clock
        self._reorder_s = reorder_s
        self._loop = asyncio.get_running_loop()
        self._streams: dict[str, Stream] = {}
        self._in_flight = 0
        self._confirmed: deque[tuple[Stream, SampleChunk, Future[Position]]] = deque()
        self._called = False
        self._pace = (float(QUARANTINE_BURST), clock.monotonic())

    def now(self) -> Moment:
        return Moment(self._clock.now(), self._clock.monotonic())

    async def open(self, hello: Hello, holder: Holder) -> Stream:
        """Put the stream on a connection; an older one is ended first.

        Raises
        ------
        ProtocolRejected
            The stream is known with another shape.
        """
        while True:
            stream = self._streams.get(hello.stream)
            if stream is None or (stream.broken and stream.holder is None):
                stream = self._streams[hello.stream] = Stream(Session(hello, self._reorder_s))
                outputs: list[Output] = []
                break
            stream.session.check(hello)
            if stream.holder is None:
                outputs = stream.session.connect(hello, self.now())
                break
            stream.holder.end(CloseCode.SUPERSEDED, "a newer connection brought this stream")
            await stream.holder.gone.wait()
        stream.holder = holder
        self.publish(stream, [stream.session.event("connected", self.now()), *outputs])
        return stream

    async def announce(self, stream: Stream) -> None:
        """Say what the stream is; returns when the bus knows, or raises `BusUnavailable`."""
        info = stream.session.info()
        await _durable(self._send(STREAMS, info.stream, info))

    def leave(self, stream: Stream, detail: str) -> None:
        """The connection of `stream` is over; `detail` says why."""
        if not stream.ended:
            self.publish(stream, [stream.session.event("disconnected", self.now(), detail)])
        stream.holder = None
        stream.left_at = self._clock.monotonic()
        if stream.ended:
            del self._streams[stream.session.hello.stream]

    async def finish(self, stream: Stream) -> None:
        """The recording is over: returns when the bus knows, or raises `BusUnavailable`."""
        now = self.now()
        key = stream.session.hello.stream
        self._send(STREAMS, key, stream.session.info(ended=now.time))
        await _durable(self._send(EVENTS, key, stream.session.event("ended", now)))
        stream.ended = True

    def full(self, stream: Stream) -> bool:
        """Whether the bus is so far behind that no more of this stream should be read."""
        return stream.in_flight >= MAX_STREAM_IN_FLIGHT or self._in_flight >= MAX_IN_FLIGHT

    def publish(self, stream: Stream, outputs: Iterable[Output]) -> None:
        """Send what a session made on its way."""
        for output in outputs:
            if isinstance(output, SampleChunk):
                if not stream.broken:
                    self._publish_chunk(stream, output)
            else:
                if isinstance(output, LinkEvent):
                    self.metrics.link_events.labels(output.kind).inc()
                self._send(EVENTS, output.stream, output)

    def tick(self) -> None:
        """What time alone brings about; call it some times a second."""
        now = self.now()
        for name, stream in list(self._streams.items()):
            if stream.holder is not None:
                wake_at = stream.session.wake_at
                if wake_at is not None and wake_at <= now.monotonic:
                    self.publish(stream, stream.session.tick(now))
            elif now.monotonic - stream.left_at >= FORGET_S:
                self.publish(stream, stream.session.flush(now))
                del self._streams[name]

    def quarantine(self, source: str, reason: str, data: bytes, stranger: bool) -> None:
        """Keep refused bytes with the reason."""
        if stranger and not self._in_pace():
            self.metrics.not_quarantined.inc()
            return
        limit = QUARANTINE.max_bytes - 4096
        message = Quarantined(
            source=source,
            reason=reason,
            time=self._clock.now(),
            data=data[:limit],
            truncated=len(data) > limit,
        )
        self.metrics.quarantined.inc()
        self._send(QUARANTINE, source, message)

    def _in_pace(self) -> bool:
        allowance, since = self._pace
        now = self._clock.monotonic()
        allowance = min(QUARANTINE_BURST, allowance + (now - since) * QUARANTINE_PER_S)
        self._pace = (max(0.0, allowance - 1), now) if allowance >= 1 else (allowance, now)
        return allowance >= 1

    def _publish_chunk(self, stream: Stream, chunk: SampleChunk) -> None:
        stream.in_flight += len(chunk.samples)
        self._in_flight += len(chunk.samples)
        self.metrics.in_flight.set(self._in_flight)
        self.metrics.samples.inc(chunk.n_samples)
        if chunk.late:
            self.metrics.late.inc(chunk.n_samples)
        future = self._send(CHUNKS, chunk.stream, chunk)
        future.add_done_callback(partial(self._confirm, stream, chunk))

    def _send(self, topic: Topic, key: str, message: Message) -> "Future[Position]":
        try:
            future = self._producer.publish(topic, key, codec.encode(message))
        except RetryError as why:
            future = Future()
            future.set_exception(why)
        future.add_done_callback(self._count_failure)
        return future

    def _count_failure(self, future: "Future[Position]") -> None:
        if future.exception() is not None:
            self.metrics.bus_failures.inc()

    def _confirm(self, stream: Stream, chunk: SampleChunk, future: "Future[Position]") -> None:
        """On the bus's thread, or on the loop if the future was done already."""
        if future.exception() is not None:
            stream.broken = True  # here already: nothing may be published before the loop hears of it
        self._confirmed.append((stream, chunk, future))
        if not self._called:
            self._called = True
            with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                self._loop.call_soon_threadsafe(self._work_off)

    def _work_off(self) -> None:
        self._called = False  # before looking: what comes from now on calls again
        was_full = self._in_flight >= MAX_IN_FLIGHT
        holders = set()
        while self._confirmed:
            stream, chunk, future = self._confirmed.popleft()
            stream.in_flight -= len(chunk.samples)
            self._in_flight -= len(chunk.samples)
            why = future.exception()
            if why is None:
                stream.session.durable(chunk)
            elif stream.holder is not None:
                log.warning("the bus refused a chunk", stream=chunk.stream, why=str(why))
                stream.holder.end(CloseCode.BUSY, "the message bus is away: connect again later")
            holders.add(stream.holder)
        self.metrics.in_flight.set(self._in_flight)
        if was_full:  # others may be waiting for these streams
            holders = {s.holder for s in self._streams.values()}
        for holder in holders:
            if holder is not None:
                holder.wake()


async def _durable(future: "Future[Position]") -> None:
    # Shielded: a connection that ends while it waits must not take the message back from the bus.
    await asyncio.shield(asyncio.wrap_future(future))
