"""Nothing is acknowledged that the bus has not: slow and refusing buses, gateways that stop or vanish."""

import asyncio

import pytest
from websockets.asyncio.client import connect

from ingest import streams
from ingest.gateway import Gateway
from ingest.metrics import Metrics
from ingest.protocols.port import Ack, CloseCode, Welcome
from ingest.protocols.v1_device import Device
from ingest.protocols.v1_wire import decode, encode
from leadwire.clock import ManualClock
from leadwire.errors import BusUnavailable
from leadwire.topics import CHUNKS, STREAMS
from tests.unit.ingest.devices import STARTED, hello, samples
from tests.unit.ingest.ward import HeldBus, Line, Ward, add, links, read, recorded, run, truth


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
    held = HeldBus(bus)
    held.mode = "hold"

    async def test() -> None:
        ward = Ward(held)
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
    assert links(bus)[-1] == ("disconnected", 5000)


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
