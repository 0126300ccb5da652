"""Whom the gateway does not let in or sends away, and what it says."""

import asyncio
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ingest import streams
from ingest.gateway import Gateway
from ingest.protocols.port import CloseCode
from ingest.protocols.v1_device import Device
from ingest.session import Session
from leadwire.clock import ManualClock
from leadwire.errors import SettingError
from leadwire.model import LinkEvent, Quarantined
from leadwire.topics import CHUNKS, EVENTS, QUARANTINE, STREAMS
from tests.unit.ingest.devices import STARTED, hello, samples
from tests.unit.ingest.ward import WAIT_S, Line, Ward, add, links, read, recorded, run, truth


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
