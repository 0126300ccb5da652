"""The gateway on real sockets, before the local bus: what devices are told and what the bus gets."""

import asyncio
import contextlib
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import replace

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ingest import streams
from ingest.gateway import Gateway
from ingest.metrics import Metrics
from ingest.protocols.port import Ack, Close, CloseCode, Hello, Resend, Welcome
from ingest.protocols.v1_device import Device
from ingest.protocols.v1_wire import decode, encode
from ingest.session import Session
from leadwire import codec
from leadwire.bus import Bus
from leadwire.bus.local import LocalBus
from leadwire.clock import ManualClock
from leadwire.errors import BusUnavailable, SettingError
from leadwire.model import DeviceStatus, LinkEvent, Quarantined, StreamInfo
from leadwire.topics import CHUNKS, EVENTS, QUARANTINE, STREAMS, TOPICS
from tests.unit.ingest.devices import STARTED, hello, samples

WAIT_S = 20.0


@pytest.fixture
def bus(tmp_path):
    bus = LocalBus(tmp_path / "bus.sqlite")
    bus.create_topics(TOPICS.values())
    yield bus
    bus.close()


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
        self._producer.flush(timeout_s)

    def close(self) -> None:
        self._producer.close()


def test_a_recording_reaches_the_bus_and_every_sample_is_acknowledged(bus):
    async def test() -> None:
        async with Ward(bus) as ward:
            device = Device(hello())
            device.status(STARTED, lead_off=(1,), battery=70.0)
            line = await ward.open(device)
            add(device, 0, 5000)
            await line.send()
            await line.until(lambda: device.acknowledged == 5000)
            device.finish()
            await line.send()
            assert (await line.closed()).code is CloseCode.FINISHED
            assert device.done
            assert ward.count("samples_total") == 5000

    run(test)
    assert recorded(bus) == truth(0, 5000)
    assert {c.lead_off for c in read(bus, CHUNKS)} == {("L1",)}
    assert links(bus) == [("connected", 0), ("ended", 5000)]
    (status,) = (e for e in read(bus, EVENTS) if isinstance(e, DeviceStatus))
    assert (status.lead_off, status.battery) == (("L1",), 70.0)
    info = read(bus, STREAMS)[-1]
    assert isinstance(info, StreamInfo)
    assert (info.stream, info.clinic, info.sig_name) == ("bed-7.1", "青山镇卫生院", ("L0", "L1"))
    assert info.ended is not None
    assert read(bus, QUARANTINE) == []


def test_nothing_is_acknowledged_before_the_bus_has_it(bus):
    held = HeldBus(bus)
    held.mode = "hold"

    async def test() -> None:
        async with Ward(held) as ward:
            device = Device(hello())
            line = await ward.open(device)
            add(device, 0, 1000)
            await line.send()
            while held.published < 4:
                await asyncio.sleep(0.01)
            assert not any(isinstance(e, Ack) for e in line.heard)
            held.held.pop(1).set_result(None)  # the second is durable, the first is not
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(line.socket.recv(), 0.2)
            held.held.pop(0).set_result(None)
            await line.until(lambda: device.acknowledged == 500)
            held.confirm()
            await line.until(lambda: device.acknowledged == 1000)

    run(test)


def test_a_gateway_that_vanishes_loses_no_acknowledged_sample(bus, tmp_path):
    """The first one is abandoned without any goodbye, with the bus behind it."""

    async def test() -> None:
        device = Device(hello())
        add(device, 0, 10_000)
        gateway = Gateway(bus)
        host, port = await gateway.start()
        line = Line(await connect(f"ws://{host}:{port}/v1/device"), device)
        device.connect(STARTED)
        await line.send()
        await line.until(lambda: bool(line.heard))
        await line.send()
        await line.until(lambda: device.acknowledged > 0)
        line.socket.transport.abort()  # what the gateway still says is never heard
        known = device.acknowledged
        async with Ward(bus) as ward:
            line = await ward.open(device)
            assert line.heard[0].resume == known
            add(device, 10_000, 12_000)
            device.finish()
            await line.send()
            await line.until(lambda: device.done)
        await gateway.stop()

    run(test)
    assert recorded(bus) == truth(0, 12_000)
    assert not any(c.late for c in read(bus, CHUNKS))
    assert "gap" not in [kind for kind, _ in links(bus)]


def test_a_line_that_breaks_resumes_where_the_bus_is(bus):
    async def test() -> None:
        async with Ward(bus) as ward:
            device = Device(hello())
            line = await ward.open(device)
            add(device, 0, 2000)
            await line.send()
            await line.until(lambda: device.acknowledged >= 500)
            line.socket.transport.abort()
            add(device, 2000, 3000)
            line = await ward.open(device)
            assert line.heard[0].resume >= 500
            await line.send()
            await line.until(lambda: device.acknowledged == 3000)

    run(test)
    assert recorded(bus) == truth(0, 3000)
    kinds = [kind for kind, _ in links(bus)]
    assert kinds[:3] == ["connected", "disconnected", "connected"]
    assert set(kinds) == {"connected", "disconnected"}


@pytest.mark.parametrize(
    ("rubbish", "said", "kept"),
    [
        (b"\x02\x01rubbish", "check sum", b"\x02\x01rubbish"),
        ("text", "text message", b"text"),
        (bytes(70_000), "over 65536 bytes", b""),
    ],
)
@pytest.mark.parametrize("welcomed", [False, True])
def test_rubbish_is_closed_with_a_reason_and_kept_in_quarantine(bus, rubbish, said, kept, welcomed):
    async def test() -> None:
        async with Ward(bus) as ward:
            line = await ward.open(hello()) if welcomed else Line(await ward.bare(), Device(hello()))
            await line.socket.send(rubbish)
            if kept:
                assert (await line.closed()).code is CloseCode.MALFORMED
            else:  # too much to be read: the websocket's own answer
                with pytest.raises(ConnectionClosed) as error:
                    await line.socket.recv()
                assert error.value.rcvd.code == 1009
            while ward.count("connections"):
                await asyncio.sleep(0.01)
            assert ward.count("quarantined_total") == 1
            other = await ward.open(hello(name="2"))
            assert other.heard, "no other connection is harmed"

    run(test)
    (found,) = read(bus, QUARANTINE)
    assert isinstance(found, Quarantined)
    assert found.data == kept
    assert said in found.reason
    assert found.source == f"gateway v1 {'bed-7.1' if welcomed else 'unknown'}"


def test_a_malformed_hello_is_kept_without_its_token(bus):
    async def test() -> None:
        async with Ward(bus) as ward:
            device = Device(hello())
            device.connect(STARTED)
            (greeting,) = device.data_to_send()
            socket = await ward.bare()
            await socket.send(greeting[:-1])
            await Line(socket, device).closed()

    run(test)
    (found,) = read(bus, QUARANTINE)
    assert b"secret" not in found.data
    assert b"bed-7.1" in found.data


def test_strangers_cannot_flood_the_quarantine(bus):
    async def test() -> None:
        async with Ward(bus, clock=ManualClock()) as ward:
            for _ in range(streams.QUARANTINE_BURST + 5):
                async with connect(f"ws://{ward.address}/v1/device") as socket:
                    await socket.send(b"rubbish!")
                    await socket.recv()
            assert ward.count("not_quarantined_total") == 5

    run(test)
    assert len(read(bus, QUARANTINE)) == streams.QUARANTINE_BURST


@pytest.mark.parametrize("line", ["bed-7 another-token", "bed-8 another-token"])
def test_a_wrong_token_is_refused_and_leaves_no_trace_on_the_bus(bus, tmp_path, line):
    tokens = tmp_path / "tokens"
    tokens.write_text(line + "\n", encoding="utf-8")

    async def test() -> None:
        async with Ward(bus, tokens=tokens) as ward:
            closed = await (await ward.line(hello())).closed()
            assert closed.code is CloseCode.REFUSED
            assert not closed.code.retry_allowed
            assert ward.count('closed_total{code="refused"}') == 1

    run(test)
    assert [read(bus, t) for t in (STREAMS, EVENTS, CHUNKS, QUARANTINE)] == [[], [], [], []]


def test_a_right_token_is_let_in(bus, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("bed-8 a-secret-of-bed-8\n", encoding="utf-8")

    async def test() -> None:
        async with Ward(bus, tokens=tokens) as ward:
            await ward.open(replace(hello(device="bed-8"), token="a-secret-of-bed-8"))

    run(test)


def test_a_newer_connection_takes_the_stream_over(bus):
    async def test() -> None:
        async with Ward(bus) as ward:
            device = Device(hello())
            old = await ward.open(device)
            add(device, 0, 1000)
            await old.send()
            await old.until(lambda: device.acknowledged == 1000)
            newer = Device(hello(acknowledged=1000))
            line = await ward.open(newer)
            assert (await old.closed()).code is CloseCode.SUPERSEDED
            newer.add(samples(1000, 1500), STARTED + 4)
            await line.send()
            await line.until(lambda: newer.acknowledged == 1500)

    run(test)
    assert recorded(bus) == truth(0, 1500)
    assert links(bus)[:3] == [("connected", 0), ("disconnected", 1000), ("connected", 1000)]


def test_a_stream_cannot_change_its_shape(bus):
    async def test() -> None:
        async with Ward(bus) as ward:
            good = await ward.open(hello())
            closed = await (await ward.line(hello(n_sig=3))).closed()
            assert closed.code is CloseCode.CONFLICT
            add(good.device, 0, 100)
            await good.send()
            await good.until(lambda: good.device.acknowledged == 100)

    run(test)


def test_a_silent_device_is_disconnected_and_so_is_who_never_says_hello(bus):
    clock = ManualClock()

    async def test() -> None:
        async with Ward(bus, clock=clock, idle_timeout_s=30) as ward:
            mute = Line(await ward.bare(), Device(hello(name="2")))
            line = await ward.open(hello())
            clock.advance(11)
            assert (await mute.closed()).code is CloseCode.TIMEOUT
            clock.advance(15)
            line.device.status(STARTED, lead_off=(0,))
            await line.send()
            while ward.count('messages_total{kind="status"}') < 1:
                await asyncio.sleep(0.01)
            clock.advance(29)
            await asyncio.sleep(0.2)
            assert ward.count("connections") == 1, "a status is a sign of life"
            clock.advance(2)
            closed = await line.closed()
            assert closed.code is CloseCode.TIMEOUT
            assert closed.code.retry_allowed

    run(test)
    event = [e for e in read(bus, EVENTS) if isinstance(e, LinkEvent)][-1]
    assert (event.kind, event.detail) == ("disconnected", "nothing came for 30 s")


def test_a_hole_becomes_a_gap_after_the_window_and_the_device_is_asked_to_fill_it(bus):
    clock = ManualClock()

    async def test() -> None:
        async with Ward(bus, clock=clock, reorder_s=2.0) as ward:
            device = Device(hello())
            line = await ward.open(device)
            add(device, 0, 750)
            first, lost, third = device.data_to_send()
            await line.socket.send(first)
            await line.socket.send(third)
            await line.until(lambda: device.acknowledged == 250)
            while ward.count('messages_total{kind="data"}') < 2:
                await asyncio.sleep(0.01)
            assert ward.count("out_of_sequence_total") == 1
            assert lost
            clock.advance(2.01)
            await line.until(lambda: Resend(250) in line.heard)
            await line.send()
            await line.until(lambda: device.acknowledged == 750)

    run(test)
    assert recorded(bus) == truth(0, 750)
    assert [(c.first_sample, c.late) for c in read(bus, CHUNKS)] == [(0, False), (500, False), (250, True)]
    assert [kind for kind, _ in links(bus)][:3] == ["connected", "gap", "late"]


def test_a_bye_with_samples_missing_is_not_the_end(bus):
    async def test() -> None:
        async with Ward(bus, reorder_s=30) as ward:
            device = Device(hello())
            line = await ward.open(device)
            add(device, 0, 750)
            device.finish()
            messages = device.data_to_send()
            for i in (0, 2, 3):
                await line.socket.send(messages[i])
            closed = await line.closed()
            assert closed.code is CloseCode.BUSY
            assert "250" in closed.reason
            line = await ward.open(device)
            await line.send()
            await line.until(lambda: device.done)

    run(test)
    assert recorded(bus) == truth(0, 750)
    assert links(bus)[-1] == ("ended", 750)


def test_a_slow_bus_stops_the_reading_and_not_the_device(bus, monkeypatch):
    monkeypatch.setattr(streams, "MAX_STREAM_IN_FLIGHT", 20_000)
    held = HeldBus(bus)
    held.mode = "hold"
    clock = ManualClock()

    async def test() -> None:
        async with Ward(held, clock=clock) as ward:
            device = Device(hello(n_sig=16))
            line = await ward.open(device)
            n = 200_000  # some hundred messages
            device.add(samples(0, n, 16), STARTED)
            sending = asyncio.create_task(line.send())
            while held.published < 1:
                await asyncio.sleep(0.01)
            clock.advance(100)
            await asyncio.sleep(0.3)
            assert held.published == 1, "the second block waits for the first"
            assert ward.count("connections") == 1, "who is not read is not silent"
            held.mode = "pass"
            held.confirm()
            await line.until(lambda: device.acknowledged == n)
            await sending

    run(test)


def test_when_all_streams_together_wait_for_the_bus_each_goes_on_afterwards(bus, monkeypatch):
    monkeypatch.setattr(streams, "MAX_IN_FLIGHT", 1000)
    held = HeldBus(bus)
    held.mode = "hold"

    async def test() -> None:
        async with Ward(held) as ward:
            lines = [await ward.open(hello(name=name)) for name in "12"]
            for line in lines:
                add(line.device, 0, 500)
                await line.send()
            while held.published < 2:
                await asyncio.sleep(0.01)
            second = held.held.pop(1)
            second.set_result(None)  # the first is still too much
            await asyncio.sleep(0.1)
            assert held.published == 2
            held.mode = "pass"
            held.confirm()
            for line in lines:
                await line.until(lambda line=line: line.device.acknowledged == 500)

    run(test)


def test_no_stream_is_welcomed_that_the_bus_does_not_know(bus):
    held = HeldBus(bus)
    held.mode = "gone"

    async def test() -> None:
        async with Ward(held) as ward:
            assert (await (await ward.line(hello())).closed()).code is CloseCode.BUSY
            held.mode = "pass"
            await ward.open(hello())

    run(test)
    assert [i.stream for i in read(bus, STREAMS)] == ["bed-7.1"]


@pytest.mark.parametrize("mode", ["away", "hold"])
def test_a_bus_that_refuses_sends_devices_away_and_they_come_back_whole(bus, mode):
    held = HeldBus(bus)

    async def test() -> None:
        async with Ward(held) as ward:
            device = Device(hello())
            line = await ward.open(device)
            add(device, 0, 500)
            await line.send()
            await line.until(lambda: device.acknowledged == 500)
            held.mode = mode
            add(device, 500, 1500)
            await line.send()
            if mode == "hold":
                while held.published < 4:
                    await asyncio.sleep(0.01)
                held.held.pop(0).set_exception(BusUnavailable("gone"))
                held.confirm()  # those behind it came through
            closed = await line.closed()
            assert closed.code is CloseCode.BUSY
            assert closed.code.retry_allowed
            assert device.acknowledged == 500
            held.mode = "pass"
            line = await ward.open(device)
            assert line.heard[0].resume == 500
            await line.send()
            await line.until(lambda: device.acknowledged == 1500)
            assert ward.count("bus_failures_total") > 0

    run(test)
    assert recorded(bus) == truth(0, 1500)
    assert [c.first_sample for c in read(bus, CHUNKS)] == list(range(0, 1500, 250)), "in order, each once"


def test_a_bus_that_refuses_after_the_device_has_gone_costs_nothing_either(bus):
    held = HeldBus(bus)
    held.mode = "hold"

    async def test() -> None:
        async with Ward(held) as ward:
            device = Device(hello())
            line = await ward.open(device)
            add(device, 0, 500)
            await line.send()
            while held.published < 2:
                await asyncio.sleep(0.01)
            await line.socket.close()
            while ward.count("connections"):
                await asyncio.sleep(0.01)
            held.confirm(BusUnavailable("gone"))
            held.mode = "pass"
            line = await ward.open(device)
            await line.send()
            await line.until(lambda: device.acknowledged == 500)

    run(test)
    assert recorded(bus) == truth(0, 500)


def test_a_stop_acknowledges_what_came_and_tells_every_device(bus):
    async def test() -> None:
        ward = Ward(bus)
        async with ward:
            device = Device(hello())
            line = await ward.open(device)
            add(device, 0, 5000)
            await line.send()
            while ward.count("samples_total") < 5000:
                await asyncio.sleep(0.01)
            await asyncio.gather(ward.gateway.stop(), line.closed())
            assert device.closed.code is CloseCode.STOPPING
            assert device.acknowledged == 5000
            ward.gateway = Gateway(bus)
            await ward.gateway.start()

    run(test)
    assert recorded(bus) == truth(0, 5000)
    assert links(bus)[-1] == ("disconnected", 5000)


def test_a_device_that_is_gone_is_forgotten_after_what_waited_is_passed_on(bus):
    clock = ManualClock()

    async def test() -> None:
        async with Ward(bus, clock=clock) as ward:
            device = Device(hello())
            line = await ward.open(device)
            add(device, 0, 500)
            await line.socket.send(device.data_to_send()[1])
            while ward.count('messages_total{kind="data"}') < 1:
                await asyncio.sleep(0.01)
            await line.socket.close()
            while ward.count("connections"):
                await asyncio.sleep(0.01)
            assert ward.count("samples_total") == 0
            clock.advance(streams.FORGET_S + 1)
            while ward.count("samples_total") < 250:
                await asyncio.sleep(0.01)

    run(test)
    assert recorded(bus) == truth(250, 500)
    assert ("gap", 0) in links(bus)


def test_health_and_metrics_are_on_the_same_port(bus):
    def get(url: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    async def test() -> None:
        async with Ward(bus, max_connections=1) as ward:
            base = f"http://{ward.address}"
            assert await asyncio.to_thread(get, f"{base}/healthz") == (200, "ok\n")
            status, page = await asyncio.to_thread(get, f"{base}/metrics")
            assert status == 200
            assert "leadwire_ingest_samples_total 0.0" in page
            status, text = await asyncio.to_thread(get, f"{base}/other")
            assert status == 404
            assert "/v1/device" in text
            await ward.open(hello())
            with pytest.raises(InvalidStatus, match="503"):
                await ward.bare()
            assert (await asyncio.to_thread(get, f"{base}/healthz"))[0] == 200

    run(test)


def test_an_address_that_is_taken_stops_the_start(bus):
    async def test() -> None:
        async with Ward(bus) as ward:
            port = int(ward.address.rpartition(":")[2])
            with pytest.raises(SettingError, match=str(port)):
                await Gateway(bus, port=port).start()

    run(test)


def test_a_fault_of_the_program_ends_one_connection_and_no_other(bus, monkeypatch):
    original = Session.data

    def faulty(self, data, now):
        if self.hello.stream.endswith(".2"):
            raise RuntimeError("a bug")
        return original(self, data, now)

    monkeypatch.setattr(Session, "data", faulty)

    async def test() -> None:
        async with Ward(bus) as ward:
            good, bad = await ward.open(hello()), await ward.open(hello(name="2"))
            for line in (bad, good):
                add(line.device, 0, 250)
                await line.send()
            assert (await bad.closed()).code is CloseCode.BUSY
            await good.until(lambda: good.device.acknowledged == 250)

    run(test)


def test_a_bye_is_answered_only_when_the_bus_has_every_sample(bus):
    held = HeldBus(bus)
    held.mode = "hold"

    async def test() -> None:
        async with Ward(held) as ward:
            line = await ward.open(hello())
            add(line.device, 0, 250)
            line.device.finish()
            await line.send()
            while ward.count('messages_total{kind="bye"}') < 1:
                await asyncio.sleep(0.01)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(line.socket.recv(), 0.2)
            held.confirm()
            assert (await line.closed()).code is CloseCode.FINISHED

    run(test)


def test_no_chunk_overtakes_one_that_the_bus_refused(bus):
    class Holder:
        gone = asyncio.Event()
        told: CloseCode | None = None

        def wake(self) -> None:
            pass

        def end(self, code: CloseCode, reason: str) -> None:
            self.told = code

    held = HeldBus(bus)

    async def test() -> None:
        holder = Holder()
        all_streams = streams.Streams(held.producer(), ManualClock(), 2.0, Metrics())
        stream = await all_streams.open(hello(), holder)
        held.mode = "hold"
        device = Device(hello())
        device.connect(STARTED)
        device.receive_data(encode(Welcome(resume=0, server_time=0.0, idle_timeout_s=30, max_bytes=1)))
        add(device, 0, 750)
        first, second, third = (decode(m) for m in device.data_to_send()[1:])
        all_streams.publish(stream, stream.session.data(first, all_streams.now()))
        held.confirm(BusUnavailable("gone"))
        held.mode = "pass"
        all_streams.publish(stream, stream.session.data(second, all_streams.now()))
        await asyncio.sleep(0)
        assert holder.told is CloseCode.BUSY
        all_streams.publish(stream, stream.session.data(third, all_streams.now()))
        held.close()

    run(test)
    assert [c.first_sample for c in read(bus, CHUNKS)] == []
