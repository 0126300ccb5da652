"""A gateway, devices that connect to it, and a bus that confirms when the test says so."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ingest.gateway import Gateway
from ingest.protocols.port import Close, Hello, Welcome
from ingest.protocols.v1_device import Device
from leadwire import codec
from leadwire.bus import Bus
from leadwire.errors import BusUnavailable
from leadwire.model import LinkEvent
from leadwire.topics import CHUNKS, EVENTS
from tests.unit.ingest.devices import STARTED, samples

WAIT_S = 60.0


def read(bus: Bus, topic) -> list:
    """All messages on `topic`."""
    consumer = bus.consumer([topic])
    found = []
    while new := consumer.poll(0.2):
        found += new
    consumer.close()
    return [codec.decode(r.value) for r in found]


def recorded(bus: Bus) -> dict[int, bytes]:
    """Rows on ecg.chunks by number; the same row twice must be the same."""
    rows: dict[int, bytes] = {}
    for chunk in read(bus, CHUNKS):
        for i in range(chunk.n_samples):
            row = chunk.samples[4 * i : 4 * i + 4]
            assert rows.setdefault(chunk.first_sample + i, row) == row
    return rows


def truth(first: int, end: int) -> dict[int, bytes]:
    return {n: samples(n, n + 1) for n in range(first, end)}


def links(bus: Bus) -> list[tuple[str, int]]:
    return [(e.kind, e.sample) for e in read(bus, EVENTS) if isinstance(e, LinkEvent)]


class Line:
    """A device on one open connection."""

    def __init__(self, socket: ClientConnection, device: Device) -> None:
        self.socket = socket
        self.device = device
        self.heard: list = []

    async def send(self) -> None:
        for message in self.device.data_to_send():
            await self.socket.send(message)

    async def until(self, what: Callable[[], bool]) -> None:
        """Listen until `what` holds or the gateway hangs up."""
        async with asyncio.timeout(WAIT_S):
            while not what():
                try:
                    message = await self.socket.recv()
                except ConnectionClosed:
                    break
                self.heard += self.device.receive_data(message)
        assert what(), self.heard

    async def closed(self) -> Close:
        await self.until(lambda: self.device.closed is not None)
        assert self.device.closed is not None
        return self.device.closed


class Ward:
    """A gateway, and devices that connect to it."""

    def __init__(self, bus: Bus, **options) -> None:
        self.gateway = Gateway(bus, **options)
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "Ward":
        self.address = "{}:{}".format(*await self.gateway.start())
        return self

    async def __aexit__(self, *error) -> None:
        await self._open.aclose()
        await self.gateway.stop()

    async def bare(self) -> ClientConnection:
        return await self._open.enter_async_context(connect(f"ws://{self.address}/v1/device"))

    async def line(self, device: Device | Hello) -> Line:
        """Connect and say hello."""
        device = Device(device) if isinstance(device, Hello) else device
        line = Line(await self.bare(), device)
        device.connect(STARTED)
        await line.send()
        return line

    async def open(self, device: Device | Hello) -> Line:
        """Connect and be welcomed."""
        line = await self.line(device)
        await line.until(lambda: bool(line.heard))
        assert isinstance(line.heard[0], Welcome)
        return line

    def count(self, name: str) -> float:
        """A counter's value on the page that Prometheus reads."""
        lines = self.gateway.metrics.page().splitlines()
        return sum(
            float(v) for n, _, v in (x.rpartition(" ") for x in lines) if n == f"leadwire_ingest_{name}"
        )


def add(device: Device, first: int, end: int) -> None:
    for n in range(first, end, 250):
        device.add(samples(n, min(n + 250, end)), STARTED + n / 250)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(2 * WAIT_S):
            await test()

    asyncio.run(limited())


class HeldBus:
    """The local bus, but whether and when it confirms is the test's to say."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.mode = "pass"
        self.held: list[Future] = []
        self.published = 0

    def producer(self) -> "HeldBus":
        self._producer = self._bus.producer()
        return self

    def publish(self, topic, key, value):
        if self.mode == "gone" or (self.mode == "away" and topic is CHUNKS):
            raise BusUnavailable("nobody is there")
        if self.mode == "pass" or topic is not CHUNKS:
            return self._producer.publish(topic, key, value)
        future: Future = Future()
        self.held.append(future)
        self.published += 1
        return future

    def confirm(self, error: Exception | None = None) -> None:
        held, self.held = self.held, []
        for future in held:
            future.set_exception(error) if error else future.set_result(None)

    def flush(self, timeout_s: float = 30.0) -> None:
        self.confirm()
        self._producer.flush(timeout_s)

    def close(self) -> None:
        self._producer.close()
