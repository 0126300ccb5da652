"""Nobody watches: from a process's heartbeat to a phone, and quiet again once somebody looks."""

import json
import time
from contextlib import ExitStack

from alerts.channel_secrets import ChannelSecrets
from alerts.channels import open_channels
from alerts.desk_stage import DeskStage
from alerts.notifier import NotifierStage
from alerts.pack_files import DEFAULT, shipped_pack
from alerts.watch import STREAM, WatchLimits
from alerts.watch_stage import WatchStage
from leadwire import codec
from leadwire.bus.compacted import read_all
from leadwire.case import Watcher
from leadwire.heartbeat import Heartbeat
from leadwire.model import Alert, StreamInfo
from leadwire.network import Address, Clinic, Shift, User, to_item
from leadwire.topics import ALERTS, COMMANDS, NETWORK, QUARANTINE, STREAMS, WATCH
from tests.contract.gateways import SECRET, http_gateway
from tests.integration.test_notifier import bus, running, until

__all__ = ["bus"]

QUICK = WatchLimits(watch_s=0.5, silent_s=2.0)
PACK = shipped_pack(DEFAULT)
RUNNING = StreamInfo(
    stream="w.1",
    device="d",
    clinic="shuanghe",
    bed="1",
    fs=250.0,
    sig_name=("II",),
    units=("mV",),
    started=1.0,
)


def set_up(bus, hook: str) -> None:
    """A clinic with a running stream, and a technician on duty who has a webhook."""
    now = time.time()
    items = (
        Clinic(id="shuanghe", name="Shuanghe", tier="township"),
        User(
            id="li",
            name="Li",
            roles=("technician",),
            addresses=(Address(channel="webhook", to=hook),),
            language="en",
        ),
        Shift(id="s1", duty="technician", user="li", start=now - 3600, end=now + 86_400),
    )
    producer = bus.producer()
    for item in items:
        fact = to_item(item, key=f"set/{item.id}", at=now)
        producer.publish(NETWORK, f"{fact.kind}/{fact.id}", codec.encode(fact))
    producer.publish(STREAMS, RUNNING.stream, codec.encode(RUNNING))
    producer.close()


def said(bus) -> list[Alert]:
    return [codec.decode_as(r.value or b"", Alert) for r in read_all(bus, ALERTS) if r.key.startswith(STREAM)]


def states(bus, kind: str) -> list[str]:
    return [a.state for a in said(bus) if a.kind == kind]


def test_a_clinic_that_nobody_watches_reaches_a_phone_and_ends_when_somebody_looks(bus):
    with http_gateway() as gateway, ExitStack() as parts:
        set_up(bus, f"http://127.0.0.1:{gateway.port}/hook")
        channels = open_channels(ChannelSecrets({f"webhook:127.0.0.1:{gateway.port}": SECRET}))
        heartbeat = Heartbeat(bus, ("dashboard",), every_s=0.1)
        parts.enter_context(running(bus, DeskStage(bus)))
        parts.enter_context(running(bus, NotifierStage(bus, channels)))
        parts.enter_context(running(bus, WatchStage(bus, PACK, QUICK)))
        heartbeat.start()
        parts.callback(heartbeat.stop)
        until(lambda: any(json.loads(b)["kind"] == "unwatched" for b in gateway.bodies))
        message = next(m for m in map(json.loads, gateway.bodies) if m["kind"] == "unwatched")
        assert (message["user"], message["clinic"], message["priority"]) == ("li", "shuanghe", "high")
        assert message["title"] == "*** Nobody is watching: shuanghe"
        heartbeat.watchers = lambda: [Watcher(user="li", visible=True, audio="on")]
        until(lambda: states(bus, "unwatched")[-1:] == ["ended"])
        commands = [codec.decode(r.value or b"") for r in read_all(bus, COMMANDS)]
        alerts = [m for m in commands if isinstance(m, Alert)]
        assert {a.id for a in said(bus)} <= {a.id for a in alerts}, "the desk is told what all are told"


def test_a_process_that_dies_is_missed_and_one_that_stops_is_not(bus):
    set_up(bus, "http://127.0.0.1:1/hook")
    died, stopped = Heartbeat(bus, ("dsp",), process="d"), Heartbeat(bus, ("archive",), process="s")
    limits = WatchLimits(watch_s=1e6, silent_s=1.0)
    with running(bus, WatchStage(bus, PACK, limits)):
        stopped.start()
        stopped.stop()
        producer = bus.producer()
        # As a process that is killed: it reported once, and never says goodbye.
        report = died.report()
        producer.publish(WATCH, died.process, codec.encode(report))
        producer.flush()
        until(lambda: states(bus, "role_silent") == ["active"])
    with running(bus, WatchStage(bus, PACK, limits)):
        producer.publish(WATCH, died.process, codec.encode(report))
        producer.close()
        until(lambda: states(bus, "role_silent")[:2] == ["active", "ended"])
    assert {a.device for a in said(bus)} == {"dsp"}


def test_rubbish_among_the_reports_is_quarantined_and_stops_nobody(bus):
    set_up(bus, "http://127.0.0.1:1/hook")
    producer = bus.producer()
    producer.publish(WATCH, "rubbish", b"\xff\x00")
    producer.publish(ALERTS, f"{STREAM}role.x", b"\xff\x00")
    producer.publish(NETWORK, "user/x", b"\xff\x00")
    producer.publish(STREAMS, "x", b"\xff\x00")
    producer.flush()
    with running(bus, WatchStage(bus, PACK, QUICK)):
        until(lambda: any(True for _ in read_all(bus, QUARANTINE)))
        until(lambda: any(r.value != b"\xff\x00" for r in read_all(bus, ALERTS)))
        producer.publish(WATCH, "more", b"rubbish")
        producer.close()
        until(lambda: sum(1 for _ in read_all(bus, QUARANTINE)) >= 2)
