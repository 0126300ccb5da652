"""A page's whole way: from a command on the bus to a real server here, and back into the register."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from alerts.channel_secrets import ChannelSecrets
from alerts.channels import open_channels
from alerts.desk_stage import DeskStage
from alerts.notifier import NotifierStage
from benchmarks.child import Child
from leadwire import codec
from leadwire.bus import Bus
from leadwire.bus.compacted import read_all, read_compacted
from leadwire.bus.local import LocalBus
from leadwire.case import Command, Line, RegisterEntry
from leadwire.messages import Message
from leadwire.network import Address, Clinic, User, to_item
from leadwire.runner import Runner, Stage
from leadwire.topics import COMMANDS, NETWORK, QUARANTINE, REGISTER, TOPICS, WATCH
from tests.contract.gateways import SECRET, Gateway, http_gateway
from tests.services.hospital import eventually

PATIENCE_S = 120.0


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[LocalBus]:
    bus = LocalBus(str(tmp_path / "bus"))
    bus.create_topics(TOPICS.values())
    yield bus
    bus.close()


@contextmanager
def running(bus: Bus, stage: Stage) -> Iterator[None]:
    stop, failed = threading.Event(), []

    def body() -> None:
        try:
            Runner(bus, stage, poll_s=0.05).run(stop)
        except BaseException as why:
            failed.append(why)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_S)
    assert failed == []


def until(true: Callable[[], bool]) -> None:
    eventually(true, within_s=PATIENCE_S)


def notifier(bus: Bus, gateway: Gateway) -> NotifierStage:
    secrets = {
        f"webhook:127.0.0.1:{gateway.port}": SECRET,
        "@ward": f"json://127.0.0.1:{gateway.port}/apprise",
    }
    return NotifierStage(bus, open_channels(ChannelSecrets(secrets)), "https://ecg.example.org")


def say(bus: Bus, *messages: tuple[str, Message]) -> None:
    producer = bus.producer()
    for key, message in messages:
        producer.publish(COMMANDS, key, codec.encode(message))
    producer.close()


def set_up(bus: Bus, gateway: Gateway) -> None:
    """One clinic, one installer who has a webhook and an apprise address, both at the gateway."""
    hook = Address(channel="webhook", to=f"http://127.0.0.1:{gateway.port}/hook")
    items = (
        Clinic(id="shuanghe", name="Shuanghe", tier="township"),
        User(
            id="wu",
            name="Wu",
            roles=("installer",),
            addresses=(hook, Address(channel="apprise", to="named://ward")),
            language="en",
        ),
    )
    say(bus, *((f"k/{i.id}", to_item(i, key=f"set/{i.id}", at=1.0)) for i in items))


def page_lines(bus: Bus) -> list[Line]:
    entries = [codec.decode_as(r.value or b"", RegisterEntry) for r in read_all(bus, REGISTER)]
    return [line for e in entries for line in e.lines if line.line == "page"]


def order_test_alarm(bus: Bus, name: str = "t1") -> None:
    command = Command(
        id=f"wu/{name}", alert="", action="test_alarm", by="wu", at=time.time(), data={"clinic": "shuanghe"}
    )
    say(bus, ("test", command))


def test_a_test_alarm_goes_the_whole_way_and_its_receipts_come_back(bus):
    with http_gateway() as gateway, ExitStack() as stages:
        stages.enter_context(running(bus, DeskStage(bus)))
        stages.enter_context(running(bus, notifier(bus, gateway)))
        set_up(bus, gateway)
        order_test_alarm(bus)
        until(lambda: len(gateway.bodies) >= 2)
        until(lambda: {x.state for x in page_lines(bus)} >= {"requested", "sent", "delivered"})
        until(lambda: len(page_lines(bus)) >= 4)
    told = dict(zip(gateway.paths, map(json.loads, gateway.bodies), strict=True))
    hook = told["/hook"]
    assert hook["kind"] == "test_alarm"
    assert hook["clinic"] == "shuanghe"
    assert "TEST ALARM: no patient is concerned." in hook["text"]
    assert hook["link"].startswith("https://ecg.example.org/desk#test%3A")
    assert "Test alarm" in told["/apprise"]["title"]
    lines = page_lines(bus)
    assert {(x.state, x.data.get("channel")) for x in lines if x.state != "requested"} == {
        ("sent", "webhook"),
        ("delivered", "webhook"),
        ("sent", "apprise"),
    }
    assert {x.data["page"] for x in lines} == {hook["page"]}


def test_killed_while_a_message_is_under_way_it_sends_it_again_and_then_no_more(bus):
    with http_gateway() as gateway, ExitStack() as stages:
        stages.enter_context(running(bus, DeskStage(bus)))
        set_up(bus, gateway)
        gateway.hold = threading.Event()
        with running(bus, notifier(bus, gateway)):
            order_test_alarm(bus)
            until(lambda: len(gateway.bodies) >= 2)
        # It was stopped before any answer came: nobody knows whether the messages arrived.
        assert {x.state for x in page_lines(bus)} == {"requested"}
        gateway.hold.set()
        gateway.hold = None
        with running(bus, notifier(bus, gateway)):
            until(lambda: len(gateway.bodies) >= 4)
            until(lambda: len(page_lines(bus)) == 4)
        before = len(gateway.bodies)
        with running(bus, notifier(bus, gateway)):
            order_test_alarm(bus, "t2")
            until(lambda: len(page_lines(bus)) == 8)
    assert len(gateway.bodies) == before + 2, "the first was not sent a third time"
    ids = [json.loads(b)["page"] for b, p in zip(gateway.bodies, gateway.paths, strict=True) if p == "/hook"]
    assert ids[0] == ids[1] != ids[-1], "a receiver knows a message that comes again by its id"


def test_entries_of_another_shape_are_quarantined_and_stop_nobody(bus):
    def strange(n: int, *lines: Line) -> bytes:
        return codec.encode(RegisterEntry(id=f"x{n}@c", alert="c", cause=f"x{n}", at=1.0, lines=lines))

    shapes = [
        Line(line="page", state="requested", data={}),
        Line(line="page", state="requested", data={"page": 5, "user": [], "priority": "red"}),
        Line(line="page", state="sent", data={"page": {}, "channel": 7}),
        Line(line="condition", state="raised", data={"alert": {"id": 5}}),
        Line(line="condition", state="upgraded", data={"alert": "x", "clinic": 5}),
    ]

    def spoil() -> None:
        producer = bus.producer()
        producer.publish(REGISTER, "c", b"\xff\x00")
        for n, line in enumerate(shapes):
            producer.publish(REGISTER, "c", strange(n, line))
        producer.close()

    def page(n: int) -> None:
        data = {"page": f"c/p{n}", "user": "wu", "priority": "low"}
        entry = RegisterEntry(
            id=f"y{n}@c",
            alert="c",
            cause=f"y{n}",
            at=time.time(),
            lines=(Line(line="page", state="requested", data=data),),
        )
        producer = bus.producer()
        producer.publish(REGISTER, "c", codec.encode(entry))
        producer.close()

    producer = bus.producer()
    wu = User(
        id="wu", name="Wu", roles=("installer",), addresses=(Address(channel="apprise", to="named://ward"),)
    )
    producer.publish(NETWORK, "user/wu", codec.encode(to_item(wu, key="f", at=1.0)))
    producer.publish(NETWORK, "user/x", b"\xff\x00")
    producer.close()
    spoil()
    with http_gateway() as gateway, running(bus, notifier(bus, gateway)):
        page(1)
        until(lambda: len(gateway.bodies) == 1)
        spoil()
        page(2)
        until(lambda: len(gateway.bodies) == 2)
        until(lambda: any("notifier" in r.key for r in read_all(bus, QUARANTINE)))


def test_a_gateway_that_hangs_holds_up_no_other(bus):
    with http_gateway() as slow, http_gateway() as fast, ExitStack() as stages:
        slow.hold = threading.Event()
        stages.callback(slow.hold.set)
        stages.enter_context(running(bus, DeskStage(bus)))
        set_up(bus, slow)
        secrets = {f"webhook:127.0.0.1:{g.port}": SECRET for g in (slow, fast)}
        stage = NotifierStage(bus, open_channels(ChannelSecrets(secrets)))
        stages.enter_context(running(bus, stage))
        for n in range(6):
            order_test_alarm(bus, f"slow{n}")
        until(lambda: len(slow.bodies) >= 2)
        moved = User(
            id="wu",
            name="Wu",
            roles=("installer",),
            addresses=(Address(channel="webhook", to=f"http://127.0.0.1:{fast.port}/hook"),),
        )
        say(bus, ("k/wu", to_item(moved, key="set/wu/2", at=2.0)))
        order_test_alarm(bus, "fast")
        until(lambda: len(fast.bodies) >= 1)
        assert slow.hold is not None
        assert not slow.hold.is_set()


def test_a_process_killed_in_mid_message_sends_it_again_and_its_log_shows_no_secret(tmp_path):
    """`leadwire alerts` as it is run: settings, desk, notifier, heartbeat and all."""
    with http_gateway() as gateway:
        secrets = tmp_path / "channels"
        secrets.write_text(
            f"webhook:127.0.0.1:{gateway.port} {SECRET}\n"
            f"@ward json://user:{SECRET}@127.0.0.1:{gateway.port}/apprise\n"
        )
        settings = {"CHANNELS_FILE": str(secrets), "PUBLIC_URL": "https://ecg.example.org"}
        bus = LocalBus(str(tmp_path / "bus.sqlite"))
        bus.create_topics(TOPICS.values())
        set_up(bus, gateway)
        gateway.hold = threading.Event()
        child = Child(tmp_path, settings, ("alerts",))
        order_test_alarm(bus)
        until(lambda: len(gateway.bodies) >= 2)
        child.kill()
        assert {x.state for x in page_lines(bus)} == {"requested"}
        gateway.hold.set()
        gateway.hold = None
        before = len(gateway.bodies)
        with Child(tmp_path, settings, ("alerts",)) as again:
            until(lambda: len(gateway.bodies) >= before + 2)
            until(lambda: {x.state for x in page_lines(bus)} >= {"sent", "delivered"})
            assert again.stop() == 0, again.said()
        assert SECRET not in child.said() + again.said()
        assert "/hook" not in child.said() + again.said(), "nor an address"
        left = [name for name in read_compacted(bus, WATCH) if name.endswith(f"/{again.process.pid}")]
        assert left == [], "it said goodbye"
        bus.close()
