"""The gateway on real sockets before the local bus: what devices are told and what the bus gets."""

import asyncio

from ingest import streams
from ingest.protocols.port import CloseCode, Resend
from ingest.protocols.v1_device import Device
from leadwire.clock import ManualClock
from leadwire.model import DeviceStatus, StreamInfo
from leadwire.topics import CHUNKS, EVENTS, QUARANTINE, STREAMS
from tests.unit.ingest.devices import STARTED, hello
from tests.unit.ingest.ward import Ward, add, links, read, recorded, run, truth


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
